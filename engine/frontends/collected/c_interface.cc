// Records, roots and weak references of collected heaps for C. What the header's inline functions
// look into is checked here against the engine's own structures.
#include <cstddef>

#include "engine/frontends/collected/c_access.h"
#include "engine/frontends/collected/c_frees.h"

using namespace tri::collected;

static_assert(sizeof(trimalloc_run) == sizeof(Run));
static_assert(offsetof(trimalloc_run, next) == offsetof(Run, next));
static_assert(offsetof(trimalloc_run, end) == offsetof(Run, end));
static_assert(offsetof(trimalloc_run, slot) == offsetof(Run, slot));
static_assert(offsetof(trimalloc_run, searched) == offsetof(Run, searched));
static_assert(sizeof(trimalloc_access::held) == sizeof(Access));
static_assert(offsetof(trimalloc_stack, slots) == offsetof(RootArray, slots));
static_assert(offsetof(trimalloc_stack, count) == offsetof(RootArray, count));
static_assert(offsetof(trimalloc_stack, capacity) == offsetof(RootArray, capacity));
static_assert(sizeof(std::atomic<size_t>) == sizeof(size_t) &&
              std::atomic<size_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
static_assert(kGranuleShift == 4 && sizeof(ArrayHeader) == 8 &&
              sizeof(Reference) == sizeof(trimalloc_ref));
using Watched = CollectedHeap::Watched;
static_assert(TRIMALLOC_NOTHING_WATCHED == static_cast<uint32_t>(Watched::kNothing) &&
              TRIMALLOC_OVERWRITTEN_WATCHED == static_cast<uint32_t>(Watched::kOverwriting) &&
              TRIMALLOC_ALL_WATCHED == static_cast<uint32_t>(Watched::kAll));
static_assert(TRIMALLOC_NO_ROOT == kNoRoot && TRIMALLOC_NO_WEAK == kNoWeak);

// --- being inside ---------------------------------------------------------------------------

void trimalloc_enter(trimalloc_heap* heap, trimalloc_access* access) {
  new (access->held) Access(heap_of(heap));
  look_up(access);
}

void trimalloc_leave(trimalloc_access* access) { held(access).~Access(); }

void trimalloc_poll_slow(trimalloc_access* access) {
  heap_of(access).poll(held(access));
  look_up(access);
}

void trimalloc_collect(trimalloc_access* access) {
  heap_of(access).collect(held(access));
  look_up(access);
}

// --- records --------------------------------------------------------------------------------

trimalloc_ref trimalloc_new_slow(trimalloc_access* access, trimalloc_type type) {
  return made(access, heap_of(access).allocate(held(access), static_cast<SourceId>(type)));
}

trimalloc_ref trimalloc_new_refs(trimalloc_access* access, uint32_t length) {
  return made(access,
              heap_of(access).allocate_array(held(access), true, length, sizeof(Reference), 0));
}

trimalloc_ref trimalloc_new_bytes(trimalloc_access* access, uint32_t length) {
  return made(access, heap_of(access).allocate_array(held(access), false, length, 1, 0));
}

void trimalloc_store_slow(trimalloc_access* access, trimalloc_ref* slot, trimalloc_ref value) {
  heap_of(access).store(held(access), slot, value);
}

trimalloc_type trimalloc_type_of(const trimalloc_access* access, trimalloc_ref record) {
  const CollectedHeap& heap = heap_of(access);
  if (!heap.is_live(record)) return 0;
  const RecordType* const type = heap.type_of_kind(heap.kind_of(record));
  return type == nullptr ? 0 : type->source;
}

int trimalloc_is_live(const trimalloc_access* access, trimalloc_ref record) {
  return heap_of(access).is_live(record) ? 1 : 0;
}

int trimalloc_free_record(trimalloc_access* access, trimalloc_ref record) {
  FreesTurn turn(access);
  if (!turn.begin(record)) {
    if (heap_of(access).is_live(record)) errno = ENOMEM;
    return 0;
  }
  return heap_of(access).free_record(held(access), record) ? 1 : 0;
}

// --- roots ----------------------------------------------------------------------------------

trimalloc_root trimalloc_root_add(trimalloc_access* access, trimalloc_ref record) {
  const RootId root = heap_of(access).add_root(held(access), record);
  if (root == kNoRoot) errno = ENOMEM;
  return root;
}

trimalloc_ref trimalloc_root_get(const trimalloc_access* access, trimalloc_root root) {
  return load_reference(heap_of(access).roots().slot(root));
}

void trimalloc_root_set(trimalloc_access* access, trimalloc_root root, trimalloc_ref record) {
  heap_of(access).set_root(held(access), heap_of(access).roots().slot(root), record);
}

void trimalloc_root_remove(trimalloc_access* access, trimalloc_root root) {
  heap_of(access).remove_root(held(access), root);
}

trimalloc_stack* trimalloc_stack_create(trimalloc_access* access, size_t capacity) {
  RootArray* array = heap_of(access).add_root_stack(held(access), capacity);
  if (array == nullptr) errno = ENOMEM;
  return reinterpret_cast<trimalloc_stack*>(array);
}

void trimalloc_stack_destroy(trimalloc_access* access, trimalloc_stack* stack) {
  if (stack != nullptr) heap_of(access).remove_root_array(held(access), array_of(stack));
}

// --- weak references ------------------------------------------------------------------------

trimalloc_weak trimalloc_weak_add(trimalloc_access* access, trimalloc_ref record) {
  const WeakId weak = heap_of(access).add_weak(held(access), record);
  if (weak == kNoWeak) errno = ENOMEM;
  return weak;
}

trimalloc_ref trimalloc_weak_load(trimalloc_access* access, trimalloc_weak weak) {
  return heap_of(access).load_weak(held(access), weak);
}

void trimalloc_weak_remove(trimalloc_access* access, trimalloc_weak weak) {
  heap_of(access).remove_weak(held(access), weak);
}
