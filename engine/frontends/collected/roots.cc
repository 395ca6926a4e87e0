#include "engine/frontends/collected/roots.h"

#include <cstring>

namespace tri::collected {

using platform::Guard;

bool Roots::start(Space& space) {
  space_ = &space;
  chunks_ =
      static_cast<Reference**>(space.arena.allocate_metadata(kMaxChunks * sizeof(Reference*)));
  return chunks_ != nullptr;
}

// --- slots ----------------------------------------------------------------------------------

RootId Roots::add(Processor& processor, Reference value) {
  RootBlock* block = processor.roots;
  if (block == nullptr || block->count == 0) {
    if (!refill(processor)) return kNoRoot;
    block = processor.roots;
  }
  const RootId root = block->free[--block->count];
  store_reference(slot(root), value);
  return root;
}

void Roots::remove(Processor& processor, RootId root) {
  store_reference(slot(root), kNone);
  RootBlock* block = processor.roots;
  if (block == nullptr || block->count == RootBlock::kCapacity) {
    const Guard guard(lock_);
    RootBlock* fresh = blocks_.create(space_->arena);
    if (fresh == nullptr) return;  // this number is lost; so little memory is left
    if (block != nullptr) {
      block->next = free_;
      free_ = block;
    }
    processor.roots = block = fresh;
  }
  block->free[block->count++] = root;
}

bool Roots::refill(Processor& processor) {
  const Guard guard(lock_);
  if (free_ == nullptr && !add_chunk_locked()) return false;
  if (processor.roots != nullptr) blocks_.destroy(processor.roots);
  processor.roots = free_;
  free_ = free_->next;
  return true;
}

bool Roots::add_chunk_locked() {
  const uint32_t count = slot_count_.load(std::memory_order_relaxed);
  if (count >> kChunkShift == kMaxChunks) return false;
  auto* chunk =
      static_cast<Reference*>(space_->arena.allocate_metadata(sizeof(Reference) << kChunkShift));
  if (chunk == nullptr) return false;
  chunks_[count >> kChunkShift] = chunk;
  // Highest numbers first, so that they are handed out rising.
  for (uint32_t next = count + (1u << kChunkShift); next != count;) {
    RootBlock* block = blocks_.create(space_->arena);
    if (block == nullptr) break;  // fewer slots
    while (next != count && block->count != RootBlock::kCapacity) {
      block->free[block->count++] = --next;
    }
    block->next = free_;
    free_ = block;
  }
  slot_count_.store(count + (1u << kChunkShift), std::memory_order_release);
  return free_ != nullptr;
}

// --- arrays ---------------------------------------------------------------------------------

RootArray* Roots::make_array(size_t capacity) {
  const size_t pages = pages_for(capacity * sizeof(Reference));
  if (pages > space_->arena.max_pages()) return nullptr;
  Span* span = space_->page_heap.allocate(pages == 0 ? 1 : static_cast<Pages>(pages));
  if (span == nullptr) return nullptr;
  char* const memory = space_->arena.address_of(span->first);
  if (!span->zero) std::memset(memory, 0, bytes_of(span->pages));
  const Guard guard(lock_);
  RootArray* array = array_cells_.create(space_->arena);
  if (array == nullptr) {
    space_->page_heap.free(span);
    return nullptr;
  }
  array->span = span;
  array->slots = reinterpret_cast<Reference*>(memory);
  array->capacity = capacity;
  return array;
}

RootArray* Roots::add_array(size_t count) {
  RootArray* array = make_array(count);
  if (array == nullptr) return nullptr;
  array->count.store(count, std::memory_order_relaxed);
  const Guard guard(lock_);
  arrays_.push_front(array);
  return array;
}

RootArray* Roots::add_stack(size_t capacity) {
  RootArray* array = make_array(capacity);
  if (array == nullptr) return nullptr;
  array->is_stack = true;
  const Guard guard(lock_);
  arrays_.push_front(array);
  return array;
}

RootArray* Roots::add_runs(size_t capacity, uint32_t step) {
  RootArray* array = make_array(capacity * (sizeof(RootRun) / sizeof(Reference)));
  if (array == nullptr) return nullptr;
  array->runs.start(reinterpret_cast<RootRun*>(array->slots), capacity, step);
  array->slots = nullptr;
  const Guard guard(lock_);
  arrays_.push_front(array);
  return array;
}

RootArray* Roots::add_saved() {
  const Guard guard(lock_);
  RootArray* array = array_cells_.create(space_->arena);
  if (array != nullptr) arrays_.push_front(array);
  return array;
}

void Roots::remove_array(RootArray* array) {
  const Guard guard(lock_);
  if (space_->marking.load(std::memory_order_relaxed) || array_holders_ != 0) {
    array->dropped = true;
  } else {
    free_array_locked(array);
  }
}

void Roots::free_dropped_arrays() {
  const Guard guard(lock_);
  if (array_holders_ == 0) free_dropped_arrays_locked();
}

void Roots::hold_arrays() {
  const Guard guard(lock_);
  ++array_holders_;
}

void Roots::let_go_of_arrays() {
  const Guard guard(lock_);
  if (--array_holders_ == 0 && !space_->marking.load(std::memory_order_relaxed)) {
    free_dropped_arrays_locked();
  }
}

void Roots::free_dropped_arrays_locked() {
  for (RootArray* array = arrays_.first(); array != nullptr;) {
    RootArray* const next = array->next;
    if (array->dropped) free_array_locked(array);
    array = next;
  }
}

void Roots::free_array_locked(RootArray* array) {
  arrays_.remove(array);
  if (array->span != nullptr) space_->page_heap.free(array->span);
  array_cells_.destroy(array);
}

RootArray* Roots::first_array() {
  const Guard guard(lock_);
  return arrays_.first();
}

RootArray* Roots::next_array(RootArray* array) {
  const Guard guard(lock_);
  return array->next;
}

}  // namespace tri::collected
