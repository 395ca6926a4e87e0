#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/base/checksum.h"
#include "engine/frontends/collected/heap_file.h"
#include "tests/engine/support/collected.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::check_file;
using collected::FileFault;
using collected::FileHeader;
using collected::FileResult;
using collected::RootRange;
using platform::FileAccess;

// A file in memory.
struct File {
  File() : descriptor(memfd_create("heap", MFD_CLOEXEC)) { CHECK(descriptor >= 0); }
  ~File() { close(descriptor); }

  size_t bytes() const {
    struct stat found;
    CHECK(fstat(descriptor, &found) == 0);
    return static_cast<size_t>(found.st_size);
  }
  std::string contents() const {
    std::string all(bytes(), '\0');
    CHECK(pread(descriptor, all.data(), all.size(), 0) == static_cast<ssize_t>(all.size()));
    return all;
  }
  void flip(size_t at, unsigned char mask) const {
    unsigned char byte;
    CHECK(pread(descriptor, &byte, 1, static_cast<off_t>(at)) == 1);
    byte ^= mask;
    CHECK(pwrite(descriptor, &byte, 1, static_cast<off_t>(at)) == 1);
  }
  FileFault fault(bool pages) const {
    FileHeader header;
    return check_file(descriptor, pages, &header).fault;
  }
  int descriptor;
};

FileResult save(SmallCollected& f, const File& file, std::vector<Reference> roots = {}) {
  const RootRange range = {roots.data(), roots.size()};
  return f.heap->save(
      file.descriptor,
      {.declarations = "classes", .declaration_bytes = 7, .roots = &range, .root_arrays = 1});
}

// A heap opened from a file, with the type that the other one had first.
struct Opened {
  Opened(const FakeOs& os, const File& file, FileAccess access, bool pages = true) {
    CHECK(check_file(file.descriptor, pages, &header).ok());
    HeapOptions options = small_heap();
    options.file = file.descriptor;
    options.file_header = &header;
    options.file_access = access;
    heap = CollectedHeap::create(os.table(), options);
    CHECK(heap != nullptr);
    node = heap->add_type(node_layout());
  }
  ~Opened() { heap->destroy(); }

  Node& at(Reference record) { return *reinterpret_cast<Node*>(heap->address_of(record)); }
  Reference make(Access& access, int64_t value) {
    const Reference record = heap->allocate(access, *node);
    CHECK(record != kNone);
    at(record).value = value;
    return record;
  }

  FileHeader header;
  CollectedHeap* heap;
  const RecordType* node;
};

// A list of `length`, newest first: its values count down to 0.
Reference make_list(SmallCollected& f, int64_t length) {
  Access access(*f.heap);
  const RootId root = f.heap->add_root(access, kNone);
  for (int64_t i = 0; i < length; ++i) {
    const Reference record = f.make(access, i);
    Reference* const top = f.heap->roots().slot(root);
    f.heap->store(access, &f.at(record).left, *top);
    f.heap->set_root(access, top, record);
  }
  return *f.heap->roots().slot(root);
}

CASE(WhatWasSavedLiesWhereItWas) {
  SmallCollected f;
  const Reference top = make_list(f, 100000);
  const File file;
  CHECK(save(f, file, {top, kNone}).ok());
  for (const FileAccess access : {FileAccess::kShared, FileAccess::kPrivate}) {
    Opened opened(f.os, file, access);
    CHECK(std::memcmp(opened.heap->saved().declarations(), "classes", 7) == 0);
    CHECK(opened.heap->saved().check_roots().ok());
    CHECK_EQ(opened.heap->saved().root_count(), 2u);
    CHECK_EQ(opened.heap->saved().roots()[0], top);
    CHECK_EQ(opened.heap->saved().roots()[1], kNone);
    int64_t expected = 99999;
    for (Reference at = top; at != kNone; at = opened.at(at).left) {
      CHECK(opened.heap->is_live(at));
      CHECK_EQ(opened.heap->kind_of(at), opened.node->kind);
      CHECK_EQ(opened.at(at).value, expected--);
    }
    CHECK_EQ(expected, -1);
    opened.heap->verify();
    opened.heap->collect();
    opened.heap->verify();
    CHECK_EQ(opened.heap->counters().marked_records, 0u);
    CHECK_EQ(opened.at(top).value, 99999);
  }
}

CASE(ALongRecordIsSavedWhole) {
  SmallCollected f;
  const RecordType* const types[] = {
      f.heap->add_type(layout_of(100000, 2)),
      f.heap->add_type(layout_of(3000, 1)),
      f.heap->add_type(layout_of(9000, 0)),
  };
  std::vector<Reference> made;
  for (int round = 0; round < 20; ++round) {
    Access access(*f.heap);
    for (const RecordType* type : types) {
      made.push_back(f.heap->allocate(access, *type));
      f.heap->add_root(access, made.back());
      char* const memory = f.heap->address_of(made.back());
      const size_t first = 2 * sizeof(Reference);
      std::memset(memory + first, round + 1, type->layout.bytes - first);
    }
    const Reference array = f.heap->allocate_array(access, false, 70000, 1, 6);
    std::memset(f.heap->address_of(array) + 8, round + 1, 70000);
    f.heap->add_root(access, array);
    made.push_back(array);
  }
  const File file;
  CHECK(save(f, file).ok());
  Opened opened(f.os, file, FileAccess::kShared);
  for (const RecordType* type : types) opened.heap->add_type(type->layout);
  opened.heap->verify();
  for (size_t i = 0; i < made.size(); ++i) {
    const size_t bytes = i % 4 == 3 ? 70008 : types[i % 4]->layout.bytes;
    CHECK(std::memcmp(f.heap->address_of(made[i]), opened.heap->address_of(made[i]), bytes) == 0);
  }
}

CASE(AnEmptyHeapCanBeSaved) {
  SmallCollected f;
  const File file;
  CHECK(save(f, file).ok());
  Opened opened(f.os, file, FileAccess::kPrivate);
  Access access(*opened.heap);
  const Reference record = opened.make(access, 5);
  CHECK_LE(collected::kFilePages, collected::page_of(record));
  opened.heap->add_root(access, record);
  opened.heap->collect(access);
  CHECK_EQ(opened.at(record).value, 5);
}

CASE(WhatIsDeadIsNotInTheFile) {
  SmallCollected f;
  const char secret[] = "secrets";
  int64_t value;
  std::memcpy(&value, secret, sizeof value);
  {
    Access access(*f.heap);
    for (int i = 0; i < 3000; ++i) {
      const Reference record = f.make(access, i % 3 == 0 ? 7 : value);
      if (i % 3 == 0) f.heap->add_root(access, record);
    }
  }
  f.heap->collect();
  const File file;
  CHECK(save(f, file).ok());
  CHECK_EQ(file.contents().find(secret), std::string::npos);
}

CASE(FreePagesTakeNoPlace) {
  SmallCollected f;
  RootId last;
  {
    Access access(*f.heap);
    Reference record = kNone;
    for (int i = 0; i < 1000000; ++i) record = f.make(access, i);
    last = f.heap->add_root(access, record);
  }
  const File file;
  CHECK(save(f, file, {*f.heap->roots().slot(last)}).ok());
  struct stat found;
  CHECK(fstat(file.descriptor, &found) == 0);
  CHECK_LT(15 << 20, found.st_size);
  CHECK_LT(found.st_blocks * 512, 1 << 20);
  Opened opened(f.os, file, FileAccess::kShared);
  CHECK_EQ(opened.at(opened.heap->saved().roots()[0]).value, 999999);
}

// --- private ----------------------------------------------------------------------------------

CASE(APrivateHeapGrowsAndCollects) {
  SmallCollected f;
  const Reference top = make_list(f, 5000);
  const File file;
  CHECK(save(f, file, {top}).ok());
  const std::string before = file.contents();
  Opened opened(f.os, file, FileAccess::kPrivate);
  {
    Access access(*opened.heap);
    opened.heap->store(access, &opened.at(top).right, opened.make(access, -1));
    for (int i = 0; i < 100000; ++i) opened.make(access, i);
  }
  const Reference fresh = opened.at(top).right;
  opened.heap->collect();
  opened.heap->verify();
  CHECK(opened.heap->is_live(fresh));
  CHECK_EQ(opened.at(fresh).value, -1);
  CHECK_EQ(opened.heap->heap_bytes(), kNodeBytes);
  {
    Access access(*opened.heap);
    opened.heap->store(access, &opened.at(top).right, kNone);
  }
  opened.heap->collect();
  CHECK(!opened.heap->is_live(fresh));
  CHECK_EQ(opened.heap->heap_bytes(), 0u);
  CHECK(file.contents() == before);
}

CASE(ASavedRecordCanBeFreedByHand) {
  SmallCollected f;
  const Reference top = make_list(f, 10);
  const File file;
  CHECK(save(f, file, {top}).ok());
  Opened opened(f.os, file, FileAccess::kPrivate);
  const Reference second = opened.at(top).left;
  {
    Access access(*opened.heap);
    CHECK(opened.heap->free_record(access, second));
    CHECK(!opened.heap->free_record(access, second));
    CHECK(!opened.heap->is_live(second));
  }
  opened.heap->collect();
  opened.heap->verify();
}

CASE(SavedAndChangedItCanBeSavedAgain) {
  SmallCollected f;
  const Reference top = make_list(f, 3000);
  const File first;
  CHECK(save(f, first, {top}).ok());
  const File second;
  Reference fresh;
  {
    Opened opened(f.os, first, FileAccess::kPrivate);
    Access access(*opened.heap);
    fresh = opened.make(access, -7);
    opened.at(top).value = 1234;
    opened.heap->store(access, &opened.at(top).right, fresh);
    CHECK(opened.heap->free_record(access, opened.at(opened.at(top).left).left));
  }
  {
    Opened opened(f.os, first, FileAccess::kPrivate);
    {
      Access access(*opened.heap);
      fresh = opened.make(access, -7);
      opened.at(top).value = 1234;
      opened.heap->store(access, &opened.at(top).right, fresh);
    }
    const RootRange range = {&top, 1};
    CHECK(opened.heap->save(second.descriptor, {"", 0, &range, 1}).ok());
  }
  Opened opened(f.os, second, FileAccess::kShared);
  opened.heap->verify();
  CHECK_EQ(opened.at(top).value, 1234);
  CHECK_EQ(opened.at(opened.at(top).right).value, -7);
  int64_t count = 0;
  for (Reference at = top; at != kNone; at = opened.at(at).left) ++count;
  CHECK_EQ(count, 3000);
}

// A reference far behind the beginning of a permanent array is stored into.
CASE(ALongPermanentArrayKeepsWhatIsStoredIntoIt) {
  constexpr uint32_t kLength = 10000;
  SmallCollected f;
  Reference array;
  {
    Access access(*f.heap);
    array = f.heap->allocate_array(access, true, kLength, sizeof(Reference), 0);
    f.heap->add_root(access, array);
  }
  const File file;
  CHECK(save(f, file).ok());
  Opened opened(f.os, file, FileAccess::kPrivate);
  CHECK(f.heap->freeze());
  for (CollectedHeap* heap : {f.heap, opened.heap}) {
    Reference fresh;
    {
      Access access(*heap);
      fresh = heap->allocate(access, *heap->type_of_kind(collected::kFirstRecordType));
      auto* const header = reinterpret_cast<collected::ArrayHeader*>(heap->address_of(array));
      heap->store(access, elements_of(header) + kLength - 1, fresh);
    }
    heap->collect();
    CHECK(heap->is_live(fresh));
    heap->verify();
  }
}

// --- damage -----------------------------------------------------------------------------------

CASE(EveryFlippedByteIsFound) {
  SmallCollected f;
  const Reference top = make_list(f, 600);
  const File file;
  CHECK(save(f, file, {top}).ok());
  const size_t bytes = file.bytes();
  FileHeader header;
  CHECK(check_file(file.descriptor, true, &header).ok());
  const size_t pages_at = header.parts[collected::kPages].offset;
  const size_t roots_at = header.parts[collected::kRoots].offset;
  const size_t roots_end = header.parts[collected::kKinds].offset;
  for (size_t at = 0; at < bytes; ++at) {
    const auto mask = static_cast<unsigned char>(1u << (at % 8));
    file.flip(at, mask);
    CHECK_SIZE(file.fault(true) != FileFault::kWhole, at);
    if (roots_at <= at && at < roots_end) {
      Opened opened(f.os, file, FileAccess::kShared, false);
      CHECK_SIZE(!opened.heap->saved().check_roots().ok(), at);
    } else if (at < pages_at) {
      CHECK_SIZE(file.fault(false) != FileFault::kWhole, at);
    }
    file.flip(at, mask);
  }
  CHECK(file.fault(true) == FileFault::kWhole);
}

CASE(EveryTruncationIsFound) {
  SmallCollected f;
  const Reference top = make_list(f, 600);
  const File file;
  CHECK(save(f, file, {top}).ok());
  for (size_t bytes = file.bytes(); bytes-- != 0;) {
    CHECK(ftruncate(file.descriptor, static_cast<off_t>(bytes)) == 0);
    CHECK_SIZE(file.fault(false) == FileFault::kLength, bytes);
  }
}

// Not verified, pages may hold anything: references are looked at before they are followed.
CASE(WhateverThePagesHoldTheHeapStaysWhole) {
  SmallCollected f;
  {
    Access access(*f.heap);
    for (int i = 0; i < 30; ++i) {
      f.heap->add_root(access, f.heap->allocate_array(access, true, 300, sizeof(Reference), 0));
    }
  }
  const Reference top = make_list(f, 3000);
  const File file;
  CHECK(save(f, file, {top}).ok());
  FileHeader header;
  CHECK(check_file(file.descriptor, true, &header).ok());
  Random random(seed_of_this_run());
  for (int round = 0; round < 20; ++round) {
    std::vector<uint64_t> noise(header.parts[collected::kPages].bytes / sizeof(uint64_t));
    for (uint64_t& word : noise)
      word = random.next() & (round % 2 != 0 ? 0x0000ffff0000ffff : ~0ull);
    CHECK(pwrite(file.descriptor, noise.data(), noise.size() * sizeof(uint64_t),
                 static_cast<off_t>(header.parts[collected::kPages].offset)) > 0);
    CHECK(file.fault(false) == FileFault::kWhole);
    CHECK(file.fault(true) == FileFault::kDamaged);
    Opened opened(f.os, file, FileAccess::kPrivate, false);
    for (int cycle = 0; cycle < 3; ++cycle) {
      Access access(*opened.heap);
      const RootId root = opened.heap->add_root(access, opened.make(access, cycle));
      Reference* const kept = opened.heap->roots().slot(root);
      opened.heap->saved().for_each_span([&](const collected::SavedSpan& span) {
        auto* const slot = reinterpret_cast<Reference*>(
            opened.heap->address_of(collected::first_granule(span.first)) + kNodeBytes);
        opened.heap->store(access, slot, *kept);
      });
      opened.heap->collect(access);
      CHECK(opened.heap->is_live(*kept));
      CHECK_EQ(opened.at(*kept).value, cycle);
    }
  }
}

CASE(OtherFilesAreForeign) {
  const File file;
  const std::string text(100000, 'x');
  CHECK(pwrite(file.descriptor, text.data(), text.size(), 0) == 100000);
  CHECK(file.fault(false) == FileFault::kForeign);
}

CASE(SomethingBehindTheEndIsFound) {
  SmallCollected f;
  const File file;
  CHECK(save(f, file).ok());
  CHECK(ftruncate(file.descriptor, static_cast<off_t>(file.bytes() + 1)) == 0);
  CHECK(file.fault(false) == FileFault::kLength);
}

// Has `change(header)` change the header of a saved heap, which is summed again.
template <typename Change>
void change_header(const File& file, Change change) {
  FileHeader header;
  CHECK(check_file(file.descriptor, true, &header).ok());
  change(header);
  Checksum checksum;
  checksum.update(&header, offsetof(FileHeader, checksum));
  header.checksum = checksum.value();
  CHECK(pwrite(file.descriptor, &header, sizeof header, 0) == sizeof header);
}

CASE(ALaterVersionIsNotOpened) {
  SmallCollected f;
  const File file;
  CHECK(save(f, file).ok());
  change_header(file, [](FileHeader& header) { header.version = collected::kFileVersion + 1; });
  CHECK(file.fault(false) == FileFault::kNewer);
}

CASE(AFileSaysHowWideItsReferencesAre) {
  SmallCollected f;
  const File file;
  CHECK(save(f, file).ok());
  FileHeader header;
  CHECK(collected::read_header(file.descriptor, &header).ok());
  CHECK_EQ(header.reference_bits(), 8 * sizeof(Reference));
  // Libraries that know no other than 32 bits open what has them.
  CHECK_EQ(header.version, sizeof(Reference) == 4 ? 1u : 2u);
}

CASE(AFileWithReferencesOfTheOtherWidthIsTold) {
  SmallCollected f;
  const File file;
  CHECK(save(f, file).ok());
  change_header(file, [](FileHeader& its) {
    its.version = 2;
    its.reference_bytes = sizeof(Reference) == 4 ? 8 : 4;
  });
  FileHeader header;
  CHECK(collected::read_header(file.descriptor, &header).ok());
  CHECK_EQ(header.reference_bits(), sizeof(Reference) == 4 ? 64u : 32u);
  CHECK(file.fault(false) == FileFault::kOtherWidth);
}

CASE(ARefusalToWriteIsTold) {
  SmallCollected f;
  const Reference top = make_list(f, 600);
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  CHECK(full >= 0);
  const RootRange range = {&top, 1};
  const FileResult result = f.heap->save(full, {"", 0, &range, 1});
  CHECK(result.fault == FileFault::kSystem);
  CHECK_EQ(result.error, ENOSPC);
  f.heap->verify();
}

CASE(EveryRefusalWhileOpeningGivesAllBack) {
  FakeOs os;
  const File file;
  {
    CollectedHeap* heap = CollectedHeap::create(os.table(), small_heap());
    const RecordType* node = heap->add_type(node_layout());
    {
      Access access(*heap);
      for (int i = 0; i < 10000; ++i) heap->add_root(access, heap->allocate(access, *node));
    }
    CHECK(heap->save(file.descriptor, {}).ok());
    heap->destroy();
  }
  FileHeader header;
  CHECK(check_file(file.descriptor, true, &header).ok());
  HeapOptions options = small_heap();
  options.file = file.descriptor;
  options.file_header = &header;
  options.file_access = FileAccess::kPrivate;
  const uint64_t before = os.fallible_calls();
  for (uint64_t failing = 1;; ++failing) {
    const uint64_t begun = os.fallible_calls();
    os.fail_call(failing);
    CollectedHeap* heap = CollectedHeap::create(os.table(), options);
    if (heap == nullptr) continue;
    heap->verify();
    heap->destroy();
    if (os.fallible_calls() - begun < failing) break;
  }
  CHECK_LT(before, os.fallible_calls());
}

}  // namespace
}  // namespace tri::testing
