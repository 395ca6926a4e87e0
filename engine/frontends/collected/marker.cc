#include "engine/frontends/collected/marker.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/frontends/collected/markers.h"

namespace tri::collected {

namespace {

// Arrays longer than this many references are scanned in pieces of it, about 10 us of work, so that
// a turn at marking ends in time however long arrays are.
constexpr uint32_t kPieceReferences = 4096;

// So many of a word's 16 cache lines are worth asking for in advance.
constexpr unsigned kManyLines = 8;

// One bit for each cache line, four granules, in which a record of the word begins. All of them are
// asked for at once: one by one, a page of records that no cache has takes twice as long.
constexpr uint64_t cache_lines_of(uint64_t records) {
  records |= records >> 1;
  records |= records >> 2;
  return records & slot_starts(4);
}
static_assert(cache_lines_of(0x8000000000000021u) == 0x1000000000000011u);

// A page of which so many records were scanned at once, a quarter of the smallest ones, is mostly
// followed by another of the kind, as in trees and lists that were made in one go. Then the next
// page is asked for while this one is scanned, a word's records beside a word's: a tree takes 6 %
// less, and where few records of each page are reached nothing is asked for in vain.
constexpr uint64_t kDenseRecords = kGranulesPerPage / 4;
// The memory of a word of granules; returns where that of the next one begins.
inline const char* prefetch_word(const char* memory) {
  constexpr size_t kLineBytes = 64;
  const char* const end = memory + 64 * kGranuleBytes;
  for (; memory != end; memory += kLineBytes) __builtin_prefetch(memory);
  return end;
}

// How far ahead of itself receiving asks for the seen bits of what was sent.
constexpr uint32_t kAhead = 16;

}  // namespace

template <bool kShared>
void Marker::follow(Reference reference) {
  if constexpr (kShared) {
    const uint32_t to = Markers::number_of(reference, others_);
    if (to != number_) {
      ReferenceBlock* const block = outgoing_[to];
      if (__builtin_expect(block == nullptr || block->count == ReferenceBlock::kCapacity, 0)) {
        return send(to, reference);
      }
      block->references[block->count++] = reference;
      return;
    }
  }
  mark(reference);
}

void Marker::mark_or_send(Reference reference) {
  others_ == 0 ? follow<false>(reference) : follow<true>(reference);
}

void Marker::enqueue(PageId page) {
  space_->links.store(page, kLast);
  if (first_ == kNotQueued) {
    first_ = page;
  } else {
    space_->links.store(last_, page);
  }
  last_ = page;
}

void Marker::begin(uint32_t count, bool check_live) {
  TRI_ASSERT(empty() && inbox_.load(std::memory_order_relaxed) == nullptr);
  others_ = count - 1;
  check_live_ = check_live;
  counters_ = {};
}

bool Marker::drain(uint32_t pages) {
  return others_ == 0 ? drain_pages<false>(pages) : drain_pages<true>(pages);
}

template <bool kShared>
bool Marker::drain_pages(uint32_t pages) {
  for (; pages != 0; --pages) {
    if (first_ != kNotQueued) {
      const PageId page = first_;
      const PageLink next = space_->links.load(page);
      first_ = next == kLast ? kNotQueued : next;
      scan_page<kShared>(page);
    } else if (long_arrays_ != nullptr) {
      scan_piece<kShared>();
    } else {
      return false;
    }
  }
  return !empty();
}

// Until the page has nothing left to scan: records that refer to neighbours, as those of a list
// made in one go do, are followed here and not by way of the queue.
template <bool kShared>
void Marker::scan_page(PageId page) {
  // Its own records must not queue it again while it is here.
  space_->links.store(page, kLast);
  const PageKind kind = space_->kinds[page];
  const Layout* layout = (*layouts_)[kind];
  const size_t begin = size_t{page} * kBitmapWordsPerPage;
  ++counters_.pages;
  const uint64_t records_before = counters_.records;
  const char* ahead = nullptr;
  if (is_dense_ && first_ != kNotQueued) ahead = space_->address_of(first_granule(first_));
  for (bool found = true; found; ahead = nullptr) {
    found = false;
    for (size_t i = begin; i < begin + kBitmapWordsPerPage; ++i) {
      if (ahead != nullptr) ahead = prefetch_word(ahead);
      uint64_t scanned = space_->scanned.load(i);
      while (const uint64_t todo = space_->seen.load(i) & ~scanned & space_->live.load(i)) {
        scanned |= todo;
        space_->scanned.store(i, scanned);
        counters_.records += count_bits(todo);
        if (kind == kReferenceArrays) {
          scan_arrays<kShared>(i, todo);
        } else {
          TRI_ASSERT(layout != nullptr);
          const uint64_t neighbours = scan_records<kShared>(i, todo, *layout);
          space_->seen.store(i, space_->seen.load(i) | neighbours);
        }
        found = true;
      }
    }
  }
  space_->links.store(page, kNotQueued);
  is_dense_ = counters_.records - records_before >= kDenseRecords;
}

// Returns the neighbours that the records refer to: those of the same word.
template <bool kShared>
uint64_t Marker::scan_records(size_t index, uint64_t records, const Layout& layout) {
  char* const first = space_->address_of(static_cast<Reference>(index * 64));
  if (uint64_t lines = cache_lines_of(records); count_bits(lines) >= kManyLines) {
    for (; lines != 0; lines &= lines - 1) {
      __builtin_prefetch(first + lowest_bit(lines) * kGranuleBytes);
    }
  }
  // Records mostly refer to neighbours. Those of one word are gathered without a branch, which half
  // of a tree's would mispredict, and without a store that the next would have to wait for. A bit
  // where no record lives says nothing.
  const auto word = static_cast<Reference>(index * 64);
  uint64_t neighbours = 0;
  for (uint32_t run = 0; run < layout.run_count; ++run) {
    const uint32_t offset = layout.runs[run].offset;
    const uint32_t count = layout.runs[run].count;
    for (uint64_t bits = records; bits != 0; bits &= bits - 1) {
      const char* record = first + lowest_bit(bits) * kGranuleBytes + offset;
      const auto* from = reinterpret_cast<const Reference*>(record);
      for (uint32_t i = 0; i < count; ++i) {
        const Reference reference = load_reference(from + i);
        const uint64_t near = reference - word < 64;
        neighbours |= near << (reference % 64);
        const auto elsewhere = static_cast<Reference>(reference & (near - 1));
        if (__builtin_expect(elsewhere != kNone, 0)) follow<kShared>(elsewhere);
      }
    }
  }
  return neighbours;
}

template <bool kShared>
void Marker::scan_arrays(size_t index, uint64_t records) {
  char* const first = space_->address_of(static_cast<Reference>(index * 64));
  for (; records != 0; records &= records - 1) {
    const auto* array =
        reinterpret_cast<const ArrayHeader*>(first + lowest_bit(records) * kGranuleBytes);
    const Reference* from = elements_of(array);
    const Reference* end = from + array->length;
    // A damaged file may say any length: what is there is read, and each reference looked at.
    if (__builtin_expect(check_live_, 0)) end = std::min(end, space_->end_of_pages());
    if (array->length > kPieceReferences) {
      if (LongArray* cell = long_array_cells_.create(space_->arena)) {
        *cell = {long_arrays_, from, end};
        long_arrays_ = cell;
        continue;
      }
    }
    scan_references<kShared>(from, end);
  }
}

template <bool kShared>
void Marker::scan_piece() {
  LongArray* array = long_arrays_;
  const Reference* from = array->from;
  const auto left = static_cast<size_t>(array->end - from);
  array->from += left < kPieceReferences ? left : kPieceReferences;
  const Reference* end = array->from;
  if (array->from == array->end) {
    long_arrays_ = array->next;
    long_array_cells_.destroy(array);
  }
  scan_references<kShared>(from, end);
}

// Inlined, a tree takes 8 % longer to mark.
template <bool kShared>
[[gnu::noinline]] void Marker::scan_references(const Reference* from, const Reference* end) {
  for (; from != end; ++from) {
    if (const Reference reference = load_reference(from)) follow<kShared>(reference);
  }
}

void Marker::mark_from_page(PageId page) {
  others_ == 0 ? scan_live<false>(page) : scan_live<true>(page);
}

template <bool kShared>
void Marker::scan_live(PageId page) {
  const PageKind kind = space_->kinds[page];
  const size_t begin = size_t{page} * kBitmapWordsPerPage;
  for (size_t i = begin; i < begin + kBitmapWordsPerPage; ++i) {
    const uint64_t live = space_->live.load(i);
    if (live == 0) continue;
    if (kind == kReferenceArrays) {
      scan_arrays<kShared>(i, live);
    } else if ((*layouts_)[kind] != nullptr) {
      // Its neighbours are as permanent.
      scan_records<kShared>(i, live, *(*layouts_)[kind]);
    }
  }
}

// --- between markers ------------------------------------------------------------------------

// With a new block, after the last one if there is one.
void Marker::send(uint32_t to, Reference reference) {
  if (outgoing_[to] != nullptr) {
    markers_->post(to, outgoing_[to]);
    outgoing_[to] = nullptr;
  }
  ReferenceBlock* const block = markers_->take_block(*this);
  block->references[block->count++] = reference;
  outgoing_[to] = block;
}

void Marker::receive() {
  ReferenceBlock* const first = inbox_.exchange(nullptr, std::memory_order_acquire);
  if (first == nullptr) return;
  set_busy(true);
  uint32_t blocks = 0;
  for (ReferenceBlock* block = first; block != nullptr; block = block->next, ++blocks) {
    for (uint32_t i = 0; i < block->count; ++i) {
      const uint32_t ahead = std::min(i + kAhead, block->count - 1);
      __builtin_prefetch(&space_->seen.word(block->references[ahead] / 64), 1);
      mark(block->references[i]);
    }
  }
  markers_->give_blocks(first);
  markers_->note_done(blocks);
}

void Marker::settle() {
  for (uint32_t to = 0; to <= others_; ++to) {
    if (outgoing_[to] == nullptr) continue;
    markers_->post(to, outgoing_[to]);
    outgoing_[to] = nullptr;
  }
  set_busy(!empty());
}

void Marker::set_busy(bool busy) {
  if (busy == busy_.load(std::memory_order_relaxed)) return;
  busy_.store(busy, std::memory_order_relaxed);
  busy ? markers_->note_work() : markers_->note_done(1);
}

void Marker::abandon() {
  while (first_ != kNotQueued) {
    const PageLink next = space_->links.load(first_);
    space_->links.store(first_, kNotQueued);
    first_ = next == kLast ? kNotQueued : next;
  }
  while (LongArray* array = long_arrays_) {
    long_arrays_ = array->next;
    long_array_cells_.destroy(array);
  }
  if (ReferenceBlock* const first = inbox_.exchange(nullptr, std::memory_order_acquire)) {
    uint32_t blocks = 0;
    for (const ReferenceBlock* block = first; block != nullptr; block = block->next) ++blocks;
    markers_->give_blocks(first);
    markers_->note_done(blocks);
  }
  set_busy(false);
}

}  // namespace tri::collected
