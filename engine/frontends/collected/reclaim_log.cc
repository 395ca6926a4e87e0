#include "engine/frontends/collected/reclaim_log.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/base/bits.h"

namespace tri::collected {

namespace {

// Enough for some thousand small records; little beside a heap that anybody collects.
constexpr Pages kLeastChunkPages = 8;

}  // namespace

bool ReclaimLog::start(Space& space, const Layout& layout, std::atomic<uint64_t>& waiting) {
  space_ = &space;
  layout_ = &layout;
  waiting_ = &waiting;
  chunk_pages_ =
      std::max(static_cast<Pages>(pages_for(sizeof(Chunk) + layout.bytes)), kLeastChunkPages);
  capacity_ = static_cast<uint32_t>((bytes_of(chunk_pages_) - sizeof(Chunk)) / layout.bytes);
  first_ = last_ = make_chunk();
  return first_ != nullptr;
}

void ReclaimLog::stop() {
  waiting_->fetch_sub(count_, std::memory_order_relaxed);
  count_ = 0;
  while (Chunk* chunk = first_) {
    first_ = chunk->next;
    space_->page_heap.free(chunk->span);
  }
  last_ = nullptr;
}

ReclaimLog::Chunk* ReclaimLog::make_chunk() {
  Span* span = space_->page_heap.allocate(chunk_pages_);
  if (span == nullptr) return nullptr;
  auto* chunk = reinterpret_cast<Chunk*>(space_->address_of(first_granule(span->first)));
  *chunk = {nullptr, span, 0, 0};
  return chunk;
}

// Where the next copy goes; nullptr when there is no memory.
char* ReclaimLog::place() {
  if (last_->noted == capacity_) {
    Chunk* chunk = make_chunk();
    if (chunk == nullptr) return nullptr;
    last_->next = chunk;
    last_ = chunk;
  }
  return copy_at(last_, last_->noted++);
}

uint64_t ReclaimLog::note(size_t word, uint64_t dead) {
  uint64_t noted = 0;
  for (uint64_t bits = dead; bits != 0; bits &= bits - 1) {
    const unsigned bit = lowest_bit(bits);
    char* const record = space_->address_of(static_cast<Reference>(word * 64 + bit));
    if (char* copy = place()) {
      std::memcpy(copy, record, layout_->bytes);
      noted |= uint64_t{1} << bit;
      ++count_;
      continue;
    }
    for (uint32_t run = 0; run < layout_->run_count; ++run) {
      std::memset(record + layout_->runs[run].offset, 0,
                  layout_->runs[run].count * sizeof(Reference));
    }
  }
  waiting_->fetch_add(static_cast<uint64_t>(std::popcount(noted)), std::memory_order_relaxed);
  return noted;
}

bool ReclaimLog::take(void* copy) {
  if (count_ == 0) return false;
  std::memcpy(copy, copy_at(first_, first_->taken++), layout_->bytes);
  --count_;
  waiting_->fetch_sub(1, std::memory_order_relaxed);
  if (first_->taken != first_->noted) return true;
  if (first_ == last_) {
    first_->taken = first_->noted = 0;
  } else {
    Chunk* const empty = first_;
    first_ = empty->next;
    space_->page_heap.free(empty->span);
  }
  return true;
}

}  // namespace tri::collected
