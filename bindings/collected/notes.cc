// Notes: what the engine tells of a heap while no Python code may run, kept until some may.
//
//   a record was sampled ──► the thread's list ──► settle_notes() ──► Heap's SampleLog (Python),
//                                                     which adds the label and the stack
//   spans come and go ──► one list for all heaps ──► settle_notes() ──► tracemalloc
//
// Whoever may have allocated calls settle_notes() on its way out, also when it raises, so label and
// stack are those of the allocation. Spans are noted only while tracemalloc traces. One that goes
// while nothing waits is untraced at once, by whichever thread: that needs no GIL, as tracing does,
// which looks at the stack of the thread. The notes themselves come from malloc: PyMem_RawMalloc
// would wait for the GIL while tracemalloc traces, with a processor held.
//
// Lock: one for the list of spans; it is the last that anybody takes (rank kMetadata). Who has it
// may wait for tracemalloc's own, whose holders take none of ours.
#include "bindings/collected/state.h"  // Python.h first

#include <cstdlib>
#include <utility>

// PyTraceMalloc_Track and PyTraceMalloc_Untrack, which CPython's headers before 3.13 declare as if
// they were C++.
extern "C" int trace(unsigned domain, uintptr_t address,
                     size_t bytes) __asm__("PyTraceMalloc_Track");
extern "C" int forget_trace(unsigned domain, uintptr_t address) __asm__("PyTraceMalloc_Untrack");

namespace trimalloc::bindings {

std::atomic<uint32_t> g_waiting_notes{0};

namespace {

using tri::platform::Guard;

// --- spans ----------------------------------------------------------------------------------

// The domains of heaps are numbered from here on; "tr" in its upper half. Those of the two modules
// differ.
constexpr unsigned kDomains = 0x8000;
constexpr unsigned kFirstDomain = 0x74720000 + (tri::collected::kWideReferences ? kDomains : 0);
std::atomic<unsigned> g_heaps{0};

struct SpanNote {
  SpanNote* next;
  uintptr_t address;
  size_t bytes;  // 0: it has gone
  unsigned domain;
};
struct SpanNotes {
  tri::platform::Lock lock{tri::platform::Rank::kMetadata};
  SpanNote* first = nullptr;
  SpanNote** last = &first;
};
constinit SpanNotes g_spans;

uintptr_t address_in(const HeapState& heap, Reference first) {
  return reinterpret_cast<uintptr_t>(heap.heap->address_of(first));
}

void note_span_locked(const HeapState& heap, Reference first, size_t bytes) {
  auto* const note = static_cast<SpanNote*>(std::malloc(sizeof(SpanNote)));
  if (note == nullptr) return;  // tracemalloc would have no memory for it either
  *note = {nullptr, address_in(heap, first), bytes, heap.trace_domain};
  *g_spans.last = note;
  g_spans.last = &note->next;
  g_waiting_notes.fetch_add(1, std::memory_order_relaxed);
}

// No allocation of ours has this address, so nothing is untraced.
bool is_tracing(const HeapState& heap) { return forget_trace(heap.trace_domain, 1) != -2; }

void span_made(void* owner, Reference first, size_t bytes) {
  const auto& heap = *static_cast<HeapState*>(owner);
  if (!is_tracing(heap)) return;
  const Guard guard(g_spans.lock);
  note_span_locked(heap, first, bytes);
}

void span_gone(void* owner, Reference first) {
  const auto& heap = *static_cast<HeapState*>(owner);
  if (!is_tracing(heap)) return;
  const Guard guard(g_spans.lock);
  if (g_spans.first != nullptr) {
    note_span_locked(heap, first, 0);
  } else {
    forget_trace(heap.trace_domain, address_in(heap, first));
  }
}

void settle_spans_locked() {
  while (SpanNote* const note = g_spans.first) {
    g_spans.first = note->next;
    if (note->bytes != 0) {
      trace(note->domain, note->address, note->bytes);
    } else {
      forget_trace(note->domain, note->address);
    }
    std::free(note);
    g_waiting_notes.fetch_sub(1, std::memory_order_relaxed);
  }
  g_spans.last = &g_spans.first;
}

void settle_spans() {
  const Guard guard(g_spans.lock);
  settle_spans_locked();
}

// --- samples --------------------------------------------------------------------------------

struct SampleNote {
  SampleNote* next;
  HeapState* heap;
  tri::collected::WeakId weak;
  unsigned kind;
  uint64_t bytes;
  uint64_t sample_bytes;
};

void drop_note(SampleNote* note) {
  release(note->heap);
  std::free(note);
  g_waiting_notes.fetch_sub(1, std::memory_order_relaxed);
}

// One that is told to nobody.
void drop_untold(SampleNote* note) {
  {
    Access access(*note->heap->heap);
    note->heap->heap->remove_weak(access, note->weak);
  }
  drop_note(note);
}

// Of threads that have ended, C's maybe, before they settled them: nobody's, but each keeps its
// heap.
std::atomic<SampleNote*> g_orphans{nullptr};

struct SampleNotes {
  SampleNote* first = nullptr;  // the last in time
  // Leaves them for whoever settles next: to drop them here could end a heap, which takes the GIL.
  ~SampleNotes() {
    if (first == nullptr) return;
    SampleNote* last = first;
    while (last->next != nullptr) last = last->next;
    last->next = g_orphans.load(std::memory_order_relaxed);
    while (!g_orphans.compare_exchange_weak(last->next, first, std::memory_order_release,
                                            std::memory_order_relaxed)) {
    }
  }
};
thread_local SampleNotes t_samples;

void sampled(void* owner, Access& access, Reference record, uint32_t granules) {
  HeapState& heap = *static_cast<HeapState*>(owner);
  const tri::collected::WeakId weak = access.heap().add_weak(access, record);
  if (weak == tri::collected::kNoWeak) return;
  auto* const note = static_cast<SampleNote*>(std::malloc(sizeof(SampleNote)));
  if (note == nullptr) {
    access.heap().remove_weak(access, weak);
    return;
  }
  *note = {t_samples.first,
           acquire(&heap),
           weak,
           access.heap().kind_of(record),
           uint64_t{granules} * tri::kGranuleBytes,
           access.heap().sample_bytes()};
  t_samples.first = note;
  g_waiting_notes.fetch_add(1, std::memory_order_relaxed);
}

// (weak reference, record class or the kind's number, bytes, mean distance of samples)
PyObject* describe(const SampleNote& note, PyObject* weak) {
  using number = unsigned long long;
  PyObject* const type = note.heap->classes[note.kind];
  PyObject* const kind = type != nullptr ? Py_NewRef(type) : PyLong_FromUnsignedLong(note.kind);
  return Py_BuildValue("NNKK", weak, kind, static_cast<number>(note.bytes),
                       static_cast<number>(note.sample_bytes));
}

// Takes the samples of one heap from the list; the first in time first.
SampleNote* take_samples(SampleNote** list, const HeapState* heap) {
  SampleNote* taken = nullptr;
  for (SampleNote** at = list; *at != nullptr;) {
    SampleNote* const note = *at;
    if (note->heap != heap) {
      at = &note->next;
      continue;
    }
    *at = note->next;
    note->next = taken;
    taken = note;
  }
  return taken;
}

// The program's call is over: what goes wrong now is not its error, but Ctrl-C is its.
void forgive(PyObject* log) {
  if (PyErr_Occurred() == nullptr) return;
  if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) == 0) {
    PyErr_WriteUnraisable(log);
    return;
  }
  PyErr_Clear();
  PyErr_SetInterrupt();
}

void settle_samples(HeapState& heap, SampleNote* notes) {
  PyObject* const log = heap.samples == nullptr ? nullptr : Py_NewRef(heap.samples);
  PyObject* list = log == nullptr ? nullptr : PyList_New(0);
  while (SampleNote* const note = notes) {
    notes = note->next;
    PyObject* const weak = list == nullptr ? nullptr : adopt_weak(heap, note->weak);
    if (weak != nullptr) {
      PyObject* const row = describe(*note, weak);
      if (row == nullptr || PyList_Append(list, row) != 0) Py_CLEAR(list);
      Py_XDECREF(row);
      drop_note(note);
    } else {
      Py_CLEAR(list);
      drop_untold(note);
    }
  }
  PyObject* const done = list == nullptr ? nullptr : PyObject_CallMethod(log, "_note", "O", list);
  if (done == nullptr) forgive(log);
  Py_XDECREF(done);
  Py_XDECREF(list);
  Py_XDECREF(log);
}

void drop_orphans() {
  SampleNote* notes = g_orphans.exchange(nullptr, std::memory_order_acquire);
  while (SampleNote* const note = notes) {
    notes = note->next;
    drop_untold(note);
  }
}

}  // namespace

void settle_notes_slow() {
  PyObject* type;
  PyObject* error;
  PyObject* traceback;
  PyErr_Fetch(&type, &error, &traceback);  // whoever raises may have allocated, too
  settle_spans();
  drop_orphans();
  SampleNote* list = std::exchange(t_samples.first, nullptr);
  while (list != nullptr) {
    HeapState& heap = *acquire(list->heap);
    settle_samples(heap, take_samples(&list, &heap));
    release(&heap);
  }
  PyErr_Restore(type, error, traceback);
}

void observe(HeapState& heap) {
  heap.trace_domain = kFirstDomain + g_heaps.fetch_add(1, std::memory_order_relaxed) % kDomains;
  heap.observer = {&heap, sampled, span_made, span_gone};
}

// Spans that have been where the array is now must not be forgotten after it was traced.
void trace_array(const HeapState& heap, const void* array, size_t bytes) {
  if (!is_tracing(heap)) return;
  const Guard guard(g_spans.lock);
  settle_spans_locked();
  trace(heap.trace_domain, reinterpret_cast<uintptr_t>(array), bytes);
}

void untrace_array(const HeapState& heap, const void* array) {
  forget_trace(heap.trace_domain, reinterpret_cast<uintptr_t>(array));
}

void untrace(HeapState& heap) {
  if (!is_tracing(heap)) return;
  settle_spans();
  heap.heap->with_world_stopped([&] {
    for (uint32_t i = 0; i < heap.heap->source_count(); ++i) {
      heap.heap->source(static_cast<tri::collected::SourceId>(i))
          .for_each_span([&](const tri::Span& span) {
            const Reference first = tri::collected::first_granule(span.first);
            forget_trace(heap.trace_domain, address_in(heap, first));
          });
    }
  });
}

}  // namespace trimalloc::bindings
