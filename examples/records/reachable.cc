// A function in C++ over a graph that Python has made: the sum of the scores of all that a vertex
// leads to. It is called through ctypes; README.md says how to build it.
#include "trimalloc/heap.h"

namespace {

// As heap.c_layout("Vertex").declaration prints it.
struct Vertex {
  trimalloc_ref left;
  trimalloc_ref right;
  double score;
};

struct Sum {
  trimalloc_type vertex;
  double scores;
};

int add(void* context, trimalloc_access* access, trimalloc_ref record, uint32_t) {
  Sum* const sum = static_cast<Sum*>(context);
  if (trimalloc_type_of(access, record) == sum->vertex) {
    sum->scores += static_cast<const Vertex*>(trimalloc_at(access, record))->score;
  }
  return 0;
}

}  // namespace

// `address`: heap.address; `vertex`: the type that heap.c_layout tells; `first`: heap.to_reference
// of a vertex that the caller holds. Negative: no such heap, no such record, or no memory to walk.
extern "C" double sum_of_reachable(uintptr_t address, trimalloc_type vertex, trimalloc_ref first) {
  trimalloc_heap* const heap = trimalloc_heap_at(address);
  if (heap == nullptr) return -1;
  trimalloc_access access;
  trimalloc_enter(heap, &access);
  Sum sum = {vertex, 0};
  const int64_t reached =
      trimalloc_type_of(&access, first) != vertex
          ? -1
          : trimalloc_walk(&access, TRIMALLOC_BREADTH_FIRST, &first, 1, add, &sum);
  trimalloc_leave(&access);
  return reached < 0 ? -1 : sum.scores;
}
