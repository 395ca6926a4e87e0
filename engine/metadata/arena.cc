#include "engine/metadata/arena.h"

#include <algorithm>
#include <cstring>

#include "engine/base/bits.h"
#include "engine/base/check.h"
#include "engine/base/tunables.h"

namespace tri {
namespace {

// Structures per page of arena, at the worst: a span structure for every page, thread caches and
// transfer slots beside. Addresses only.
constexpr size_t kMetadataBytesPerPage = 192;
constexpr size_t kLineBytes = 64;
// Tables and pages begin on this boundary, so that no hardware page (at most 64 KiB) is shared.
constexpr size_t kRegionAlignment = 64 * tunable::kKiB;
// The pages begin on a huge page, so that the kernel may back dense parts with one.
constexpr size_t kBaseAlignment = kHugePageBytes;
constexpr const char* kLabel = "trimalloc";

// Where to map when nothing may be reserved: far from where the kernel puts mappings by itself, in
// address spaces of 47 and of 39 bits.
constexpr uintptr_t kLonelyPlaces[] = {uintptr_t{0x2000} << 32, uintptr_t{0x2800} << 32,
                                       uintptr_t{0x20} << 32, uintptr_t{0x18} << 32};

struct TableSizes {
  TableSizes(size_t arena_bytes, unsigned bitmap_count) : bitmaps(bitmap_count) {
    const size_t pages = arena_bytes >> kPageShift;
    metadata = round_up(pages * kMetadataBytesPerPage + tunable::kMiB, kRegionAlignment);
    spans = round_up(pages * sizeof(Span*), kRegionAlignment);
    classes = round_up(pages, kRegionAlignment);
    page_bits = round_up(pages / 8, kRegionAlignment);
    bitmap = round_up(pages * kBitmapBytesPerPage, kRegionAlignment);
  }
  size_t total() const { return metadata + spans + classes + page_bits + bitmap * bitmaps; }
  size_t metadata, spans, classes, page_bits, bitmap;
  unsigned bitmaps;
};

}  // namespace

bool GrowingRegion::grow_to(size_t bytes, const platform::Os& os, bool reserved) {
  const size_t wanted = round_up(bytes, os.page_bytes);
  if (wanted <= used_) return true;
  if (wanted > reserved_bytes()) return false;
  char* from = direction_ == Direction::kUp ? begin_ + used_ : end_ - wanted;
  const bool granted =
      reserved ? os.commit(from, wanted - used_) : os.commit_unreserved(from, wanted - used_);
  if (granted) used_ = wanted;
  return granted;
}

bool GrowingRegion::map(size_t bytes, int file, uint64_t offset, platform::FileAccess access,
                        bool reserved) {
  if (bytes > reserved_bytes()) return false;
  char* at = direction_ == Direction::kUp ? begin_ : end_ - bytes;
  if (platform::map_file(at, bytes, file, offset, access, reserved) == nullptr) return false;
  used_ = bytes;
  return true;
}

bool Arena::try_place(size_t bytes, bool reserve) {
  const TableSizes sizes(bytes, bitmap_count_);
  const size_t below = round_up(sizes.total(), kBaseAlignment);
  char* low = nullptr;
  if (reserve) {
    low = static_cast<char*>(os_->reserve(below + bytes, kBaseAlignment));
    if (low == nullptr) return false;
    os_->label(low, below + bytes, kLabel);
  }
  const auto lay_out = [&](char* begin) {
    using enum GrowingRegion::Direction;
    base_ = begin + below;
    metadata_.place(begin, begin + sizes.metadata, kUp);
    span_table_.place(metadata_.end(), metadata_.end() + sizes.spans, kUp);
    class_table_.place(span_table_.end(), span_table_.end() + sizes.classes, kUp);
    page_bit_table_.place(class_table_.end(), class_table_.end() + sizes.page_bits, kUp);
    char* end = base_;
    for (unsigned i = 0; i < bitmap_count_; ++i, end -= sizes.bitmap) {
      bitmaps_[i].place(end - sizes.bitmap, end, kDown);
    }
    pages_.place(base_, base_ + bytes, kUp);
  };
  if (reserve) {
    lay_out(low);
    return true;
  }
  for (const uintptr_t place : kLonelyPlaces) {
    lay_out(reinterpret_cast<char*>(place));
    if (metadata_.grow_to(tunable::kMetadataStepBytes, *os_, false)) return true;
  }
  return false;
}

bool Arena::start(const platform::Os& os, size_t bytes, size_t address_space_limit,
                  unsigned bitmaps) {
  os_ = &os;
  bitmap_count_ = bitmaps;
  reserved_ = address_space_limit == SIZE_MAX;
  if (!reserved_) bytes = std::min(bytes, address_space_limit);
  bytes = std::min(bytes, tunable::kMaxArenaBytes);
  bytes = std::max(round_up(bytes, kBaseAlignment), tunable::kMinArenaBytes);
  while (!try_place(bytes, reserved_)) {
    if (bytes <= tunable::kMinArenaBytes) return false;
    bytes = std::max(round_up(bytes / 2, kBaseAlignment), tunable::kMinArenaBytes);
  }
  bytes_ = bytes;
  spans_ = reinterpret_cast<Span**>(span_table_.begin());
  classes_ = reinterpret_cast<uint8_t*>(class_table_.begin());
  page_bits_ = reinterpret_cast<uint64_t*>(page_bit_table_.begin());
  metadata_next_ = metadata_.begin();
  lookup_.base = base_;
  lookup_.classes = classes_;
  return true;
}

bool Arena::grow_tables(Pages pages) {
  const size_t ahead = std::min(round_up(bytes_of(pages), tunable::kTableStepBytes), bytes_);
  const size_t covered = ahead >> kPageShift;
  return class_table_.grow_to(covered, *os_, reserved_) &&
         span_table_.grow_to(covered * sizeof(Span*), *os_, reserved_) &&
         page_bit_table_.grow_to(round_up(covered, 64) / 8, *os_, reserved_) &&
         std::all_of(bitmaps_, bitmaps_ + bitmap_count_, [&](GrowingRegion& bitmap) {
           return bitmap.grow_to(covered * kBitmapBytesPerPage, *os_, reserved_);
         });
}

// A program that has all the memory it may have (RLIMIT_AS, RLIMIT_DATA) must still be able to cut
// up what it frees: a span's structure is 1 % of a page. Addresses only, until it is used.
bool Arena::secure_metadata(Pages pages) {
  const platform::Guard guard(metadata_lock_);
  return metadata_.grow_to(round_up(bytes_of(pages) / 64, tunable::kMetadataStepBytes), *os_,
                           reserved_);
}

bool Arena::grow(Pages pages) {
  const Pages before = committed_pages();
  if (pages > max_pages() - before) return false;
  const Pages after = before + pages;
  if (!grow_tables(after) || !secure_metadata(after)) return false;
  if (!pages_.grow_to(bytes_of(after), *os_, reserved_)) return false;
  set_released(before, pages, true);
  committed_pages_.store(after, std::memory_order_relaxed);
  const size_t granules = bytes_of(after) / kGranuleBytes;
  __atomic_store_n(&lookup_.granules, granules, __ATOMIC_RELAXED);
  if (way_ != nullptr) __atomic_store_n(&(lookup_.*way_), granules, __ATOMIC_RELAXED);
  return true;
}

bool Arena::adopt(const MappedPages& mapped) {
  if (mapped.pages > max_pages()) return false;
  if (!bitmaps_[0].map(mapped.bitmap_bytes, mapped.file, mapped.bitmap_offset, mapped.access,
                       reserved_) ||
      !grow_tables(mapped.pages) ||
      !pages_.map(bytes_of(mapped.pages), mapped.file, mapped.pages_offset, mapped.access,
                  reserved_)) {
    return false;
  }
  adopted_pages_ = mapped.pages;
  committed_pages_.store(mapped.pages, std::memory_order_relaxed);
  lookup_.granules = bytes_of(mapped.pages) / kGranuleBytes;
  return true;
}

void Arena::drop_reservation() {
  if (!reserved_) return;
  for (GrowingRegion* region :
       {&metadata_, &span_table_, &class_table_, &page_bit_table_, &pages_}) {
    region->unreserve_rest(*os_);
  }
  for (unsigned i = 0; i < bitmap_count_; ++i) bitmaps_[i].unreserve_rest(*os_);
  reserved_ = false;
}

void Arena::unmap() {
  if (reserved_) {
    os_->unreserve(lowest_address(), static_cast<size_t>(base_ + bytes_ - lowest_address()));
    return;
  }
  for (GrowingRegion& bitmap : bitmaps_) bitmap.unmap(*os_);
  for (GrowingRegion* region : {&pages_, &page_bit_table_, &class_table_, &span_table_}) {
    region->unmap(*os_);
  }
  metadata_.unmap(*os_);
}

void* Arena::allocate_metadata(size_t bytes) {
  const platform::Guard guard(metadata_lock_);
  // Whole cache lines begin at one.
  const size_t alignment = bytes % kLineBytes == 0 ? kLineBytes : kGranuleBytes;
  const size_t used = round_up(static_cast<size_t>(metadata_next_ - metadata_.begin()), alignment);
  bytes = round_up(bytes, kGranuleBytes);
  if (used + bytes > metadata_.committed_bytes()) {
    const size_t wanted = round_up(used + bytes, tunable::kMetadataStepBytes);
    if (!metadata_.grow_to(wanted, *os_, reserved_)) return nullptr;
  }
  char* result = metadata_.begin() + used;
  metadata_next_ = result + bytes;
  return result;
}

bool Arena::release(char* begin, size_t bytes) const {
  take_huge_pages_apart(begin, bytes);
  return os_->release(begin, bytes);
}

bool Arena::refresh(char* begin, size_t bytes) const {
  take_huge_pages_apart(begin, bytes);
  return os_->refresh(begin, bytes);
}

bool Arena::remap(char* from, char* to, size_t bytes) const {
  take_huge_pages_apart(from, bytes);
  take_huge_pages_apart(to, bytes);
  return os_->remap(from, to, bytes);
}

void Arena::take_huge_pages_apart(char* begin, size_t bytes) const {
  if (!huge_pages_.in_use()) return;
  char* const end = begin + bytes;
  const auto last = static_cast<size_t>(end - 1 - base_) / kHugePageBytes;
  for (auto i = static_cast<size_t>(begin - base_) / kHugePageBytes; i <= last; ++i) {
    if (!huge_pages_.take(i)) continue;
    char* const from = std::max(begin, base_ + i * kHugePageBytes);
    char* const to = std::min(end, base_ + (i + 1) * kHugePageBytes);
    const auto part = static_cast<size_t>(to - from);
    if (part != kHugePageBytes) os_->split(from, part);
  }
}

void Arena::release_bits(PageId first, Pages count) const {
  const size_t step = os_->page_bytes / kBitmapBytesPerPage;  // pages whose bits fill one
  const size_t begin = round_up(first, step);
  const size_t end = (size_t{first} + count) / step * step;
  if (begin >= end) return;
  os_->release(base_ - end * kBitmapBytesPerPage, (end - begin) * kBitmapBytesPerPage);
}

void Arena::set_class(PageId first, Pages count, SizeClass size_class) {
  std::memset(classes_ + first, size_class, count);
}

void Arena::set_spans(PageId first, Pages count, Span* span) {
  for (Pages i = 0; i < count; ++i) spans_[first + i] = span;
}

void Arena::set_released(PageId first, Pages count, bool released) {
  const auto set_in_word = [&](PageId page, Pages pages) {
    const uint64_t mask = low_bits(pages) << (page % 64);
    uint64_t& word = page_bits_[page / 64];
    word = released ? word | mask : word & ~mask;
  };
  const Pages head = std::min<Pages>(-first % 64, count);
  const Pages tail = (count - head) % 64;
  const Pages words = (count - head) / 64;
  if (head != 0) set_in_word(first, head);
  // A gigabyte is 2,048 words.
  if (words != 0) {
    std::memset(page_bits_ + (first + head) / 64, released ? 0xff : 0, words * sizeof(uint64_t));
  }
  if (tail != 0) set_in_word(first + count - tail, tail);
}

Pages Arena::count_released(PageId first, Pages count) const {
  Pages total = 0;
  while (count != 0) {
    const unsigned offset = first % 64;
    const Pages here = std::min<Pages>(64 - offset, count);
    const uint64_t mask = low_bits(here) << offset;
    const uint64_t bits = page_bits_[first / 64] & mask;
    // Mostly all or nothing; counting bits is a library call on the oldest x86-64.
    total += bits == mask ? here : bits == 0 ? 0 : static_cast<Pages>(std::popcount(bits));
    first += here;
    count -= here;
  }
  return total;
}

// Up to the first page bit that, with `flip`, is clear.
Pages Arena::run(PageId first, Pages most, uint64_t flip) const {
  const PageId end = first + most;
  PageId page = first;
  while (page < end) {
    const uint64_t word = page_bits_[page / 64] ^ flip;
    const unsigned offset = page % 64;
    const uint64_t ends = ~word >> offset;
    if (ends != 0) {
      page += lowest_bit(ends);
      break;
    }
    page += 64 - offset;
  }
  return std::min(page, end) - first;
}

size_t Arena::metadata_bytes() const {
  const size_t per_page = sizeof(Span*) + 1 + kBitmapBytesPerPage * bitmap_count_;
  return static_cast<size_t>(metadata_next_ - metadata_.begin()) + committed_pages() * per_page;
}

}  // namespace tri
