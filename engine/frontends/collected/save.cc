// Saving a collected heap: a collection, then one pass over the tables and the pages while the
// world is stopped.
#include <algorithm>

#include "engine/base/check.h"
#include "engine/frontends/collected/collected_heap.h"
#include "engine/frontends/collected/heap_file_writer.h"
#include "engine/platform/thread.h"

namespace tri::collected {
namespace {

// Shorter runs of free pages are written as zeros: each hole costs a system call more.
constexpr Pages kShortestHole = 8;

// What the writer needs of a span, whether it has a structure or is from a file.
SavedSpan describe(const Space& space, const SavedPart& saved, PageId page) {
  if (page < saved.page_count()) return saved.span_of(page);
  const Span* const span = space.arena.span_of(page);
  return {span->first, span->pages, span->slot_granules};
}

void write_slots(HeapFileWriter& writer, const Space& space, const SavedPart& saved, Pages pages) {
  for (PageId page = 0; page < pages;) {
    if (space.kinds[page] == kNoRecords) {
      writer.put_zeros(sizeof(uint32_t));
      ++page;
      continue;
    }
    const SavedSpan span = describe(space, saved, page);
    writer.put(&span.slot_granules, sizeof span.slot_granules);
    writer.put_zeros((span.pages - 1) * sizeof(uint32_t));
    page += span.pages;
  }
}

// Dead slots become zeros: what a program has deleted is not to be found in its files.
void write_span(HeapFileWriter& writer, const Space& space, const SavedSpan& span) {
  const Reference first = first_granule(span.first);
  const char* const memory = space.address_of(first);
  const size_t bytes = bytes_of(span.pages);
  const Reference granules = span.pages * kGranulesPerPage;
  if (bytes > HeapFileWriter::kMostRoom) {
    TRI_CHECK_EQ(granules / span.slot_granules, 1u);  // one long record
    const size_t record = space.live.test(first) ? size_t{span.slot_granules} * kGranuleBytes : 0;
    writer.put(memory, record);
    writer.put_zeros(bytes - record);
    return;
  }
  char* const copy = writer.room(bytes);
  std::memcpy(copy, memory, bytes);
  const Reference end = first + granules - granules % span.slot_granules;
  const auto clear = [&](Reference begin, Reference stop) {
    std::memset(copy + size_t{begin - first} * kGranuleBytes, 0,
                size_t{stop - begin} * kGranuleBytes);
  };
  for (Reference at = first;;) {
    const Reference begin = space.live.next_clear_slot(at, end, span.slot_granules);
    if (begin >= end) break;
    at = space.live.next_set(begin, end);
    clear(begin, at);
  }
  clear(end, first + granules);
}

void write_pages(HeapFileWriter& writer, const Space& space, const SavedPart& saved, Pages pages) {
  for (PageId page = 0; page < pages && !writer.failed();) {
    if (space.kinds[page] != kNoRecords) {
      const SavedSpan span = describe(space, saved, page);
      write_span(writer, space, span);
      page += span.pages;
      continue;
    }
    PageId end = page + 1;
    while (end < pages && space.kinds[end] == kNoRecords) ++end;
    const size_t bytes = bytes_of(end - page);
    end - page < kShortestHole ? writer.put_zeros(bytes) : writer.skip(bytes);
    page = end;
  }
}

// Up to the last page with records. There is always the first page, which is nobody's.
Pages pages_to_save(const Space& space) {
  Pages pages = space.arena.committed_pages();
  while (pages > 1 && space.kinds[pages - 1] == kNoRecords) --pages;
  return pages;
}

}  // namespace

// The world is stopped, and all is swept.
FileResult CollectedHeap::write_stopped(int file, const SavedText& text) {
  HeapFileWriter writer(file);
  if (writer.failed()) return {FileFault::kNoMemory};
  const Pages pages = pages_to_save(space_);
  writer.begin(kDeclarations);
  writer.put(text.declarations, text.declaration_bytes);
  writer.end_of_part();
  writer.align(8);
  writer.begin(kRoots);
  for (size_t i = 0; i < text.root_arrays; ++i) {
    writer.put(text.roots[i].first, text.roots[i].count * sizeof(Reference));
  }
  writer.end_of_part();
  writer.align(8);
  writer.begin(kKinds);
  writer.put(space_.kinds, pages);
  writer.end_of_part();
  writer.align(8);
  writer.begin(kSlots);
  write_slots(writer, space_, saved_, pages);
  writer.end_of_part();
  writer.align(kFileAlignment);
  writer.begin(kLiveBits);
  const size_t bitmap_bytes = pages * kBitmapBytesPerPage;
  writer.put_zeros(round_up(bitmap_bytes, kFileAlignment) - bitmap_bytes);
  writer.put(&space_.live.word(bitmap_bytes / sizeof(uint64_t) - 1), bitmap_bytes);
  writer.end_of_part();
  writer.begin(kPages);
  write_pages(writer, space_, saved_, pages);
  writer.align(kFileAlignment);
  writer.end_of_part();
  return writer.finish(pages, source_count() - kFirstTypeSource);
}

FileResult CollectedHeap::save(int file, const SavedText& text) {
  for (;;) {
    {
      const platform::Guard cycle(cycle_lock_);
      if (run_cycle_locked(true)) {
        stop_world();
        flush_processors();
        const FileResult result = write_stopped(file, text);
        start_world();
        return result;
      }
    }
    platform::yield();  // another thread forks
  }
}

}  // namespace tri::collected
