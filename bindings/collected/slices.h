// Long work on a heap in slices, without the GIL: between two of them nothing of the heap is held,
// signals are looked at, and the caller's progress function runs.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_SLICES_H_
#define TRIMALLOC_BINDINGS_COLLECTED_SLICES_H_

#include "bindings/collected/state.h"
#include "engine/frontends/collected/traversal.h"

namespace trimalloc::bindings {

// Some 20 ms: short enough for Ctrl-C, long enough that the GIL is taken rarely.
inline constexpr uint32_t kSliceSteps = 1u << 20;

inline bool note_progress(PyObject* progress, unsigned done) {
  if (PyErr_CheckSignals() != 0) return false;
  if (progress == Py_None) return true;
  PyObject* const result = PyObject_CallFunction(progress, "I", done);
  Py_XDECREF(result);
  return result != nullptr;
}

// Until `work` is done, or finds a cycle; `done()` is what progress gets. False and an error when
// it is interrupted or memory is short.
template <typename Work, typename Done>
bool run_in_slices(const HeapState& heap, Work& work, PyObject* progress, Done done,
                   tri::collected::Traversal::Status* end) {
  using tri::collected::Traversal;
  for (;;) {
    Py_BEGIN_ALLOW_THREADS {
      Access access(*heap.heap);
      *end = work.run(access, kSliceSteps);
    }
    Py_END_ALLOW_THREADS if (*end == Traversal::kNoMemory) {
      no_memory(heap);
      return false;
    }
    if (*end != Traversal::kMore) return true;
    if (!note_progress(progress, done())) return false;
  }
}

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_SLICES_H_
