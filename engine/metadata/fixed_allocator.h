// Fixed allocators: the allocator's own structures, off the heap, as Go's fixAlloc. Each hands out
// cells of one size from the arena's metadata and keeps those given back on a list through the
// cells (metadata only; user memory never carries a link). Memory is never returned to the OS, so
// that a stale pointer to a structure can always be read.
//
// Locks: none of its own. The owner's lock guards it; getting a new chunk takes rank kMetadata.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>

#include "engine/metadata/arena.h"

namespace tri {

// Cells of `bytes` each.
class CellAllocator {
 public:
  constexpr explicit CellAllocator(size_t cell_bytes) : cell_bytes_(cell_bytes) {}

  // nullptr when the OS refuses. What it holds is whatever its last user left.
  void* allocate(Arena& arena) {
    if (free_ != nullptr) {
      Cell* cell = free_;
      free_ = cell->next;
      --free_count_;
      return cell;
    }
    if (chunk_left_ < cell_bytes_) {
      // Several cells at a time; one when they are large.
      const size_t chunk =
          cell_bytes_ >= kChunkBytes ? cell_bytes_ : kChunkBytes / cell_bytes_ * cell_bytes_;
      chunk_ = static_cast<char*>(arena.allocate_metadata(chunk));
      chunk_left_ = chunk_ == nullptr ? 0 : chunk;
      if (chunk_ == nullptr) return nullptr;
    }
    void* cell = chunk_;
    chunk_ += cell_bytes_;
    chunk_left_ -= cell_bytes_;
    return cell;
  }

  void deallocate(void* pointer) {
    auto* cell = static_cast<Cell*>(pointer);
    cell->next = free_;
    free_ = cell;
    ++free_count_;
  }

  size_t free_bytes() const { return free_count_ * cell_bytes_; }

 private:
  struct Cell {
    Cell* next;
  };
  static constexpr size_t kChunkBytes = 4096;

  size_t cell_bytes_;
  Cell* free_ = nullptr;
  size_t free_count_ = 0;
  char* chunk_ = nullptr;
  size_t chunk_left_ = 0;
};

template <typename T>
class FixedAllocator {
 public:
  // A value-initialised T, or nullptr.
  T* create(Arena& arena) {
    void* cell = cells_.allocate(arena);
    return cell == nullptr ? nullptr : new (cell) T();
  }
  // No destructor runs: what the structure says last stays readable, for those who follow a stale
  // pointer and check it (and compilers drop stores to an object whose destructor follows).
  void destroy(T* object) {
    static_assert(std::is_trivially_destructible_v<T>);
    cells_.deallocate(object);
  }

 private:
  CellAllocator cells_{(sizeof(T) + 15) / 16 * 16};
};

}  // namespace tri
