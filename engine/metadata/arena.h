// The one address range everything lies in, and the tables that describe it.
//
//     low                                            base                              high
//      | metadata -> | span table -> | class table -> | page bits -> | ... <- heap bitmap | pages
//      -> |
//
// * pages: spans of the arena, growing up from `base`;
// * heap bitmap: 64 bytes a page (a bit per 16 bytes of arena), growing down from `base`, so that
//   the bits of page p end at base - 64 p. The collected heap has two more of the same form, each
//   growing down from the end of its own part;
// * class table: one byte a page, the size class of the span it belongs to; 0 for a large object, a
//   free page, a page never used. The only table that free() reads on its fast path;
// * span table: one pointer a page: for small spans every page's, for large and free spans the
//   first and the last page's. Entries in the middle of those are stale and must be checked against
//   the span (`Span::contains`); structures are never unmapped, so looking is safe. Those that lie
//   beside their bits (pages/span.h) leave no entry behind;
// * page bits: one bit a page, set when the page has no memory behind it and reads as zero;
// * metadata: everything the fixed allocators hand out.
//
// All of it is found by arithmetic from `base`. Nothing is committed before it is needed.
//
// Locks: the tables are written under the page heap's lock; the class table is read without one, by
// threads that hold a block of the page and so know that its entry does not change. Growing takes
// the page heap's lock (pages, tables) or the metadata lock (metadata).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "engine/base/types.h"
#include "engine/metadata/huge_page_bits.h"
#include "engine/platform/file.h"
#include "engine/platform/lock.h"
#include "engine/platform/os.h"

namespace tri {

struct Span;

// 16 bytes: the smallest object, so the densest that live objects can lie.
inline constexpr size_t kGranuleBytes = 16;
inline constexpr size_t kBitmapBytesPerPage = kPageBytes / kGranuleBytes / 8;
inline constexpr size_t kBitmapWordsPerPage = kBitmapBytesPerPage / 8;
// What the collected heap needs: live, seen, scanned.
inline constexpr unsigned kMaxBitmaps = 3;
static_assert(kBitmapBytesPerPage == 64, "a page's bits fill one cache line");

// A range that is committed from one end in steps.
class GrowingRegion {
 public:
  enum class Direction : uint8_t { kUp, kDown };

  void place(char* begin, char* end, Direction direction) {
    begin_ = begin;
    end_ = end;
    direction_ = direction;
    used_ = 0;
  }
  // Makes the first `bytes`, counted from the end it grows from, usable. False when refused.
  bool grow_to(size_t bytes, const platform::Os& os, bool reserved);
  // Before that: the first `bytes` are a part of a file.
  bool map(size_t bytes, int file, uint64_t offset, platform::FileAccess access, bool reserved);
  // Gives the committed part back to the OS.
  void unmap(const platform::Os& os) {
    if (used_ != 0) os.unreserve(direction_ == Direction::kUp ? begin_ : end_ - used_, used_);
    used_ = 0;
  }
  // Gives the part that is not committed back to the OS.
  void unreserve_rest(const platform::Os& os) {
    char* from = direction_ == Direction::kUp ? begin_ + used_ : begin_;
    if (used_ != reserved_bytes()) os.unreserve(from, reserved_bytes() - used_);
  }
  char* begin() const { return begin_; }
  char* end() const { return end_; }
  size_t committed_bytes() const { return used_; }
  size_t reserved_bytes() const { return static_cast<size_t>(end_ - begin_); }

 private:
  char* begin_ = nullptr;
  char* end_ = nullptr;
  size_t used_ = 0;  // committed, from the growing end
  Direction direction_ = Direction::kUp;
};

// What free() reads besides the thread's cache, together in one cache line. All zero until the
// arena has started, so that every pointer is out of range.
struct alignas(64) PageLookup {
  char* base = nullptr;
  // Length of the usable pages in 16-byte granules. Only grows, under the page heap's lock; a
  // thread that was handed a block has seen the growth that made room for it. Not an atomic,
  // because compilers do not compare with an atomic in memory: one instruction more in every
  // free().
  size_t granules = 0;
  // The same for each of the two ways that free() can go at once, to the cache of its thread or of
  // the processor. The other one is 0, or both are: a comparison that has to be made anyway tells
  // whether this is the way.
  size_t by_thread = 0;
  size_t by_processor = 0;
  const uint8_t* classes = nullptr;
};

// Pages that come from a file, with the first bitmap's part for them.
struct MappedPages {
  int file = -1;
  Pages pages = 0;
  uint64_t pages_offset = 0;
  uint64_t bitmap_offset = 0;
  size_t bitmap_bytes = 0;
  platform::FileAccess access = platform::FileAccess::kShared;
};

// What leads from a pointer to its page, and from there to the span and its bits. Who stores bits
// in a loop has a copy: of the arena's own members the compiler could not know that the stores
// leave them alone, and would load them again for each.
struct PageTables {
  char* base;
  const uint8_t* classes;
  Span* const* spans;

  PageId page_of(const void* pointer) const {
    return static_cast<PageId>(static_cast<size_t>(static_cast<const char*>(pointer) - base) >>
                               kPageShift);
  }
  char* address_of(PageId page) const { return base + bytes_of(page); }
  SizeClass class_of(PageId page) const { return classes[page]; }
  Span* span_of(PageId page) const { return spans[page]; }
  // Before the bits, at the begin of the page's part, a span of a size class may have its structure
  // (pages/span.h).
  Span* span_beside_bits(PageId first) const {
    return reinterpret_cast<Span*>(base - (size_t{first} + 1) * kBitmapBytesPerPage);
  }

  // Word `index` of the bits of the span that begins at `first`: bit i of the span is bit i % 64 of
  // word i / 64, and words follow each other downwards.
  uint64_t& bitmap_word(PageId first, size_t index) const {
    return reinterpret_cast<uint64_t*>(
        base)[-static_cast<ptrdiff_t>(size_t{first} * kBitmapWordsPerPage + index + 1)];
  }
};

class Arena {
 public:
  constexpr Arena() = default;

  // Reserves the range: `bytes` for pages and what their tables need beside, halved until the OS
  // agrees. False when not even kMinArenaBytes can be had. `bitmaps`: how many of them.
  bool start(const platform::Os& os, size_t bytes, size_t address_space_limit,
             unsigned bitmaps = 1);
  // Before it grows for the first time: its first pages are mapped. They belong to no span, and the
  // page heap never has them. False when they are too many, or the OS refuses.
  bool adopt(const MappedPages& mapped);
  Pages adopted_pages() const { return adopted_pages_; }
  // Gives everything back: pages, tables and metadata. Nobody uses them any more.
  void unmap();

  const PageLookup& lookup() const { return lookup_; }
  // Before it grows for the first time: the way that free() goes, in place of `by_thread`; or
  // nullptr.
  void set_way(size_t PageLookup::* way) { way_ = way; }
  char* base() const { return base_; }
  size_t bytes() const { return bytes_; }
  Pages max_pages() const { return static_cast<Pages>(bytes_ >> kPageShift); }
  // Pages made usable so far: page ids below this are valid.
  Pages committed_pages() const { return committed_pages_.load(std::memory_order_relaxed); }

  // Makes `pages` more pages usable; they read as zero and their page bits say so. False when the
  // OS or the range refuses. Caller holds the page heap's lock.
  bool grow(Pages pages);

  // Gives up the addresses that are not in use yet, so that they do not count against a limit on
  // the address space that the program is about to set. Later growth maps them piece by piece.
  // Caller holds the page heap's lock and the metadata lock.
  void drop_reservation();
  // Whether the addresses behind any usable page are mapped too.
  bool reserved() const { return reserved_; }

  // Metadata: never given back to the OS, zeroed. nullptr when the OS refuses. Takes lock rank
  // kMetadata.
  void* allocate_metadata(size_t bytes);

  bool contains(const void* pointer) const {
    return static_cast<size_t>(static_cast<const char*>(pointer) - base_) < bytes_;
  }
  PageTables tables() const { return {base_, classes_, spans_}; }
  PageId page_of(const void* pointer) const { return tables().page_of(pointer); }
  char* address_of(PageId page) const { return tables().address_of(page); }
  SizeClass class_of(PageId page) const { return tables().class_of(page); }
  Span* span_of(PageId page) const { return tables().span_of(page); }
  uint64_t& bitmap_word(PageId first, size_t index) const {
    return tables().bitmap_word(first, index);
  }

  void set_class(PageId first, Pages count, SizeClass size_class);
  void set_span(PageId page, Span* span) { spans_[page] = span; }
  void set_spans(PageId first, Pages count, Span* span);

  Span* span_beside_bits(PageId first) const { return tables().span_beside_bits(first); }

  // Where bitmap `number` ends. Word `index` of it is the (index + 1)th before that.
  uint64_t* bitmap_end(unsigned number) const {
    return reinterpret_cast<uint64_t*>(bitmaps_[number].end());
  }

  // What Os has of the same names, of usable addresses. A huge page that is marked as one is taken
  // apart where only a part of it goes, or else the kernel would keep that part, too.
  bool release(char* begin, size_t bytes) const;
  bool refresh(char* begin, size_t bytes) const;
  bool remap(char* from, char* to, size_t bytes) const;
  // What is one huge page by our doing (pages/huge_pages.h), counted from the base.
  HugePageBits& huge_pages() { return huge_pages_; }
  bool is_in_huge_page(const char* address) const {
    return huge_pages_.in_use() &&
           huge_pages_.test(static_cast<size_t>(address - base_) / kHugePageBytes);
  }

  // Gives back the memory of the heap bitmap's part for pages that are nobody's, whose bits are all
  // clear, as far as hardware pages of it belong to nobody else. The caller has them to itself.
  void release_bits(PageId first, Pages count) const;

  // How much of a bitmap is in use. Caller holds the page heap's lock.
  size_t bitmap_bytes(unsigned number) const { return bitmaps_[number].committed_bytes(); }

  // Page bits: set means released. Caller holds the page heap's lock.
  void set_released(PageId first, Pages count, bool released);
  Pages count_released(PageId first, Pages count) const;
  // How many pages from `first` on, at most `most`, are released without a gap; or are not.
  Pages released_run(PageId first, Pages most) const { return run(first, most, 0); }
  Pages resident_run(PageId first, Pages most) const { return run(first, most, ~uint64_t{0}); }

  // For snapshots: structures handed out, and the tables' share for the pages that exist.
  size_t metadata_bytes() const;
  char* lowest_address() const { return metadata_.begin(); }
  // Calls `visit(begin, bytes)` for each committed range of metadata.
  template <typename Visitor>
  void for_each_metadata_range(Visitor visit) const {
    for (const GrowingRegion* region :
         {&metadata_, &span_table_, &class_table_, &page_bit_table_}) {
      visit(region->begin(), region->committed_bytes());
    }
    for (const GrowingRegion& bitmap : bitmaps_) {
      if (bitmap.committed_bytes() == 0) continue;
      visit(bitmap.end() - bitmap.committed_bytes(), bitmap.committed_bytes());
    }
  }
  const platform::Os& os() const { return *os_; }
  platform::Lock& metadata_lock() { return metadata_lock_; }

 private:
  void take_huge_pages_apart(char* begin, size_t bytes) const;
  Pages run(PageId first, Pages most, uint64_t flip) const;
  bool try_place(size_t bytes, bool reserve);
  bool grow_tables(Pages pages);
  bool secure_metadata(Pages pages);

  PageLookup lookup_;
  size_t PageLookup::* way_ = &PageLookup::by_thread;
  const platform::Os* os_ = nullptr;
  char* base_ = nullptr;
  size_t bytes_ = 0;
  std::atomic<Pages> committed_pages_{0};
  Pages adopted_pages_ = 0;
  uint8_t* classes_ = nullptr;
  Span** spans_ = nullptr;
  uint64_t* page_bits_ = nullptr;
  bool reserved_ = true;  // false under RLIMIT_AS: addresses are mapped only as they are used
  GrowingRegion metadata_, span_table_, class_table_, page_bit_table_, pages_;
  GrowingRegion bitmaps_[kMaxBitmaps];  // the first ends at the base
  unsigned bitmap_count_ = 1;
  HugePageBits huge_pages_;
  char* metadata_next_ = nullptr;
  platform::Lock metadata_lock_{platform::Rank::kMetadata};
};

}  // namespace tri
