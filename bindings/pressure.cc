// Pressure callbacks: from a note left inside malloc to Python calls at a safe point.
//
//   a thread crosses the soft limit ──► leave_note()            inside malloc: no lock of ours,
//                                         │ Py_AddPendingCall   no allocation, no Python
//                                         ▼
//   main thread, next safe point ─────► run_callbacks() ──► each callback, in order
//
// CPython runs pending calls in the main thread of the main interpreter, hence only that
// interpreter may register. `callbacks` is a tuple that is replaced as a whole; `callbacks_mutex`
// is held for the few instructions that copy or swap the reference, never while Python code runs.
#include <atomic>
#include <cerrno>
#include <mutex>

#include "bindings/engine.h"
#include "bindings/functions.h"

namespace trimalloc::bindings {
namespace {

std::mutex callbacks_mutex;
PyObject* callbacks = nullptr;  // owned; guarded by callbacks_mutex

// Set by whichever thread leaves a note, cleared by the main thread before it acts on it: a storm
// of events takes one of CPython's 32 places, and one event after another is never lost.
std::atomic<bool> note_left{false};

nb::object current_callbacks() {
  std::lock_guard lock(callbacks_mutex);
  return nb::borrow(callbacks);
}

int run_callbacks(void*) {
  note_left.store(false, std::memory_order_release);
  nb::object registered = current_callbacks();
  if (!registered) return 0;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(registered.ptr()); ++i) {
    PyObject* callback = PyTuple_GET_ITEM(registered.ptr(), i);
    // Raising here would surface at an arbitrary line of the program: report it, go on.
    if (!nb::steal(PyObject_CallNoArgs(callback))) PyErr_WriteUnraisable(callback);
  }
  return 0;
}

void leave_note(void*) {
  const int saved_errno = errno;
  if (!note_left.exchange(true, std::memory_order_acq_rel) &&
      Py_AddPendingCall(run_callbacks, nullptr) != 0) {
    note_left.store(false, std::memory_order_release);  // CPython's queue is full: next time
  }
  errno = saved_errno;
}

}  // namespace

nb::object set_pressure_callbacks(nb::handle tuple) {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_RuntimeError,
                    "pressure callbacks run in the main interpreter: register them there");
    return {};
  }
  if (!PyTuple_Check(tuple.ptr())) {
    PyErr_SetString(PyExc_TypeError, "set_pressure_callbacks() takes a tuple of callables");
    return {};
  }
  nb::object replaced;  // dropped after the lock: its destructor may run Python code
  {
    std::lock_guard lock(callbacks_mutex);
    replaced = nb::steal(callbacks);
    callbacks = nb::borrow(tuple).release().ptr();
  }
  const bool any = PyTuple_GET_SIZE(tuple.ptr()) > 0;
  engine().set_pressure_hook(any ? leave_note : nullptr, nullptr);
  return none();
}

}  // namespace trimalloc::bindings
