// Saved heaps for C: what a file holds beside records are the references on one stack of roots, and
// a text of the program's.
#include <fcntl.h>

#include "engine/frontends/collected/c_access.h"
#include "engine/platform/os.h"

using namespace tri::collected;

namespace {

int error_of(const FileResult& result) {
  switch (result.fault) {
    case FileFault::kWhole:
      return 0;
    case FileFault::kSystem:
      return result.error;
    case FileFault::kForeign:
      return EINVAL;
    case FileFault::kNewer:
    case FileFault::kOtherWidth:
      return EPROTO;
    case FileFault::kNoMemory:
      return ENOMEM;
    case FileFault::kLength:
    case FileFault::kDamaged:
      break;
  }
  return EBADMSG;
}

trimalloc_heap* failed(int error) {
  errno = error;
  return nullptr;
}

}  // namespace

int trimalloc_heap_save(trimalloc_heap* heap, int file, const trimalloc_stack* roots,
                        const void* text, size_t text_bytes) {
  RootRange range;
  if (roots != nullptr) range = {roots->slots, roots->count};
  const SavedText saved = {
      .declarations = text, .declaration_bytes = text_bytes, .roots = &range, .root_arrays = 1};
  const FileResult result = heap_of(heap).save(file, saved);
  if (result.ok()) return 0;
  errno = error_of(result);
  return -1;
}

trimalloc_heap* trimalloc_heap_open_abi(uint32_t abi, int file, uint32_t how,
                                        const trimalloc_heap_options* given) {
  HeapOptions options;
  if (abi != TRIMALLOC_HEAP_ABI) return failed(EPROTO);
  if (!read_options(given, &options) || (how & ~(TRIMALLOC_OPEN_PRIVATE | TRIMALLOC_OPEN_VERIFY))) {
    return failed(EINVAL);
  }
  FileHeader header;
  FileResult result = check_file(file, (how & TRIMALLOC_OPEN_VERIFY) != 0, &header);
  if (!result.ok()) return failed(error_of(result));
  options.file = file;
  options.file_header = &header;
  options.file_access = (how & TRIMALLOC_OPEN_PRIVATE) != 0 ? tri::platform::FileAccess::kPrivate
                                                            : tri::platform::FileAccess::kShared;
  CollectedHeap* const heap = CollectedHeap::create(tri::platform::linux_os(), options);
  if (heap == nullptr) return failed(ENOMEM);
  // Roots in the thousands at most, so they are summed here and not at the first look.
  result = heap->saved().check_roots();
  if (result.ok()) return reinterpret_cast<trimalloc_heap*>(heap);
  heap->destroy();
  return failed(error_of(result));
}

size_t trimalloc_heap_saved_count(trimalloc_heap* heap) {
  const SavedPart& saved = heap_of(heap).saved();
  return saved.page_count() == 0 ? 0 : saved.root_count();
}

trimalloc_ref trimalloc_heap_saved_root(trimalloc_heap* heap, size_t index) {
  if (index >= trimalloc_heap_saved_count(heap)) return kNone;
  const Reference root = load_reference(heap_of(heap).saved().roots() + index);
  return heap_of(heap).is_live(root) ? root : kNone;
}

const void* trimalloc_heap_saved_text(trimalloc_heap* heap, size_t* bytes) {
  const SavedPart& saved = heap_of(heap).saved();
  const bool any = saved.page_count() != 0;
  *bytes = any ? saved.declaration_bytes() : 0;
  return any ? saved.declarations() : nullptr;
}
