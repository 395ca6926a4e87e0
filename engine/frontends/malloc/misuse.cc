#include "engine/frontends/malloc/misuse.h"

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/settings.h"

namespace tri {

void stop_double_free(const void* block) {
  char buffer[256];
  Text text(buffer, sizeof buffer);
  text.put("trimalloc: double free of ").address(block);
  if (const size_t bytes = class_bytes_at(block)) {
    text.put(" (a block of ").number(bytes).put(" bytes)");
  }
  if (g_settings.check.load(std::memory_order_relaxed) == 0) {
    text.put("; run with TRIMALLOC_CHECK=1 to stop at the call");
  }
  stop_with(text.c_str());
}

void stop_interior(const char* operation, const void* pointer, const void* begin) {
  char buffer[256];
  Text text(buffer, sizeof buffer);
  text.put("trimalloc: ").put(operation).put(" of ").address(pointer);
  text.put(", which lies inside a block that starts at ").address(begin);
  stop_with(text.c_str());
}

void stop_foreign(const char* operation, const void* pointer) {
  char buffer[256];
  Text text(buffer, sizeof buffer);
  text.put("trimalloc: ").put(operation).put(" of ").address(pointer);
  text.put(", which trimalloc did not allocate");
  stop_with(text.c_str());
}

void stop_for_misuse(Misuse misuse, void* object) {
  switch (misuse) {
    case Misuse::kNone:
      return;
    case Misuse::kDoubleFree:
      stop_double_free(object);
    case Misuse::kInterior:
      stop_interior("free", object, block_begin(object));
  }
}

}  // namespace tri
