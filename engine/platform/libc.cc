#include "engine/platform/libc.h"

#include <dlfcn.h>
#include <link.h>

#include <cstdint>
#include <cstring>

#include "engine/platform/proc_file.h"
#include "engine/platform/syscalls.h"

extern "C" [[gnu::weak]] void __libc_free(void*);  // glibc; musl has no such name

namespace tri::platform {
namespace {

struct Range {
  uintptr_t begin = 0;
  uintptr_t end = 0;
};
constexpr unsigned kRanges =
    4;  // libc, libpthread (glibc < 2.34), the dynamic linker, this library
constinit Range g_ranges[kRanges];
constinit bool g_known = false;

bool is_of_interest(const char* path) {
  const char* slash = std::strrchr(path, '/');
  const char* name = slash == nullptr ? path : slash + 1;
  return std::strncmp(name, "libc.so", 7) == 0 || std::strncmp(name, "libc-2", 6) == 0 ||
         std::strncmp(name, "libpthread", 10) == 0 || std::strncmp(name, "ld-", 3) == 0 ||
         std::strncmp(name, "libtrimalloc.so", 15) == 0;
}

int note_library(dl_phdr_info* library, size_t, void* count_pointer) {
  auto* count = static_cast<unsigned*>(count_pointer);
  if (*count == kRanges || !is_of_interest(library->dlpi_name)) return 0;
  Range& range = g_ranges[(*count)++];
  range.begin = UINTPTR_MAX;
  for (unsigned i = 0; i < library->dlpi_phnum; ++i) {
    const auto& header = library->dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    const uintptr_t begin = library->dlpi_addr + header.p_vaddr;
    if (begin < range.begin) range.begin = begin;
    if (begin + header.p_memsz > range.end) range.end = begin + header.p_memsz;
  }
  return 0;
}

// Where the process's brk heap began: field 47 of /proc/self/stat (proc(5): start_brk).
uintptr_t heap_begin() {
  const ProcFile<1024> stat("/proc/self/stat");
  // The second field is a name in brackets that may hold spaces and brackets.
  const char* const name_end = std::strrchr(stat.text(), ')');
  return name_end == nullptr ? 0 : number_in_field(name_end, 2, 47);
}

}  // namespace

bool is_program_address(const void* address) {
  if (!g_known) return false;
  const auto value = reinterpret_cast<uintptr_t>(address);
  for (const Range& range : g_ranges) {
    if (value >= range.begin && value < range.end) return false;
  }
  return true;
}

void learn_libc() {
  unsigned count = 0;
  ::dl_iterate_phdr(note_library, &count);
  g_known = count != 0;
}

bool is_libc_heap_block(const void* block) {
  if (__libc_free == nullptr) return false;
  const auto value = reinterpret_cast<uintptr_t>(block);
  const uintptr_t begin = heap_begin();
  const auto end = static_cast<uintptr_t>(system_call(SYS_brk, 0));
  return begin != 0 && value > begin && value < end && value % 16 == 0;
}

void libc_free(void* block) { __libc_free(block); }

size_t libc_usable_bytes(void* block) {
  void* const symbol = ::dlsym(RTLD_NEXT, "malloc_usable_size");
  if (symbol == nullptr) return 0;
  return reinterpret_cast<size_t (*)(void*)>(symbol)(block);
}

}  // namespace tri::platform
