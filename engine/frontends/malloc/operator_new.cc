// C++'s operator new and delete, for programs of any C++ library: this one has none. The nothrow
// forms of new are left to that library: they call the throwing ones below and catch what comes.
// Only a failure needs it: the new handler and std::bad_alloc are looked up in whatever C++ library
// the program has.
#include <dlfcn.h>

#include <cstdlib>
#include <new>

#include "engine/base/check.h"
#include "engine/frontends/malloc/engine.h"

#define TRI_EXPORT [[gnu::visibility("default")]]

namespace {

void* find_in_cxx_library(const char* symbol) {
  if (void* found = ::dlsym(RTLD_DEFAULT, symbol)) return found;
  // An extension module may have brought the library along for itself only.
  for (const char* name : {"libstdc++.so.6", "libc++.so.1"}) {
    if (void* library = ::dlopen(name, RTLD_LAZY | RTLD_NOLOAD)) {
      if (void* found = ::dlsym(library, symbol)) return found;
    }
  }
  return nullptr;
}

std::new_handler current_new_handler() {
  void* get = find_in_cxx_library("_ZSt15get_new_handlerv");
  return get == nullptr ? nullptr : reinterpret_cast<std::new_handler (*)()>(get)();
}

[[noreturn]] void throw_bad_alloc() {
  // libstdc++'s own; libc++ exports it under its inline namespace.
  for (const char* name :
       {"_ZSt17__throw_bad_allocv", "_ZNSt3__117__throw_bad_allocB8ne180000Ev"}) {
    if (void* raise = find_in_cxx_library(name)) reinterpret_cast<void (*)()>(raise)();
  }
  tri::stop_with("trimalloc: operator new is out of memory, and no C++ library can throw");
}

// Out of memory: as [new.delete.single] has it, ask the handler and try again until it gives up.
void* retry(size_t bytes, size_t alignment) {
  while (true) {
    const std::new_handler handler = current_new_handler();
    if (handler == nullptr) throw_bad_alloc();
    handler();
    if (void* block = tri::allocate_aligned(alignment, bytes)) return block;
  }
}

// What the thread's cache does not have. The fast path ends with this call and needs no frame.
[[gnu::noinline]] void* new_slow(size_t bytes) asm("tri_new_slow");
[[gnu::noinline, gnu::used]] void* new_slow(size_t bytes) {
  void* block = tri::allocate_slow(bytes);
  return block != nullptr ? block : retry(bytes, tri::kGranuleBytes);
}

[[gnu::noinline]] void* new_aligned(size_t bytes, std::align_val_t alignment) {
  void* block = tri::allocate_aligned(static_cast<size_t>(alignment), bytes);
  return block != nullptr ? block : retry(bytes, static_cast<size_t>(alignment));
}

[[gnu::always_inline]] inline void* new_object(size_t bytes) {
  TRI_ALLOCATE(bytes, "tri_new_slow", new_slow);
}

[[gnu::always_inline]] inline void delete_object(void* block) { TRI_DEALLOCATE(block); }

}  // namespace

TRI_EXPORT void* operator new(size_t n) { return new_object(n); }
TRI_EXPORT void* operator new[](size_t n) { return new_object(n); }
TRI_EXPORT void* operator new(size_t n, std::align_val_t a) { return new_aligned(n, a); }
TRI_EXPORT void* operator new[](size_t n, std::align_val_t a) { return new_aligned(n, a); }

TRI_EXPORT void operator delete(void* p) noexcept { delete_object(p); }
TRI_EXPORT void operator delete[](void* p) noexcept { delete_object(p); }
TRI_EXPORT void operator delete(void* p, size_t) noexcept { delete_object(p); }
TRI_EXPORT void operator delete[](void* p, size_t) noexcept { delete_object(p); }
TRI_EXPORT void operator delete(void* p, std::align_val_t) noexcept { delete_object(p); }
TRI_EXPORT void operator delete[](void* p, std::align_val_t) noexcept { delete_object(p); }
TRI_EXPORT void operator delete(void* p, size_t, std::align_val_t) noexcept { delete_object(p); }
TRI_EXPORT void operator delete[](void* p, size_t, std::align_val_t) noexcept { delete_object(p); }
TRI_EXPORT void operator delete(void* p, const std::nothrow_t&) noexcept { delete_object(p); }
TRI_EXPORT void operator delete[](void* p, const std::nothrow_t&) noexcept { delete_object(p); }
TRI_EXPORT void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  delete_object(p);
}
TRI_EXPORT void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  delete_object(p);
}
