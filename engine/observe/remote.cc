// A snapshot of another process: its Tiers object and its thread caches are copied out by
// process_vm_readv, without stopping it, and read by the same code as our own.
//
// Where the object lies: the load address of libtrimalloc.so from /proc/PID/maps plus the symbol's
// value from that file's dynamic symbol table. The file is opened through /proc/PID/root, so that a
// process in a container is found too.
#include <elf.h>
#include <fcntl.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

#include "engine/base/text.h"
#include "engine/observe/fill.h"
#include "engine/observe/snapshot.h"
#include "engine/platform/syscalls.h"

namespace tri {
namespace {

using platform::as_long;
using platform::system_call;

constexpr char kLibraryName[] = "/libtrimalloc.so";
constexpr char kSymbol[] = "trimalloc_tiers";
// A process with more threads than this is counted up to here.
constexpr unsigned kMaxCaches = 100000;

class File {
 public:
  explicit File(const char* path)
      : descriptor_(system_call(SYS_openat, AT_FDCWD, as_long(path), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (descriptor_ >= 0) system_call(SYS_close, descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  long error() const { return descriptor_ < 0 ? -descriptor_ : 0; }
  long read(void* to, size_t bytes) const {
    return system_call(SYS_read, descriptor_, as_long(to), static_cast<long>(bytes));
  }
  bool read_at(uint64_t offset, void* to, size_t bytes) const {
    return system_call(SYS_pread64, descriptor_, as_long(to), static_cast<long>(bytes),
                       static_cast<long>(offset)) == static_cast<long>(bytes);
  }

 private:
  long descriptor_;
};

struct Mapping {
  uint64_t begin = 0;
  char path[512] = {};
};

uint64_t parse_hex(const char** at) {
  uint64_t value = 0;
  for (;; ++*at) {
    const char c = **at;
    if (c >= '0' && c <= '9') {
      value = value * 16 + static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value * 16 + static_cast<unsigned>(c - 'a' + 10);
    } else {
      return value;
    }
  }
}

// One line of /proc/PID/maps; true when it is the library's first page.
bool is_library(const char* line, Mapping* mapping) {
  const char* at = line;
  mapping->begin = parse_hex(&at);
  at = std::strchr(at, ' ');  // behind the range
  if (at == nullptr) return false;
  at = std::strchr(at + 1, ' ');  // behind the permissions
  if (at == nullptr) return false;
  ++at;
  const uint64_t offset = parse_hex(&at);
  const char* path = std::strchr(at, '/');
  if (offset != 0 || path == nullptr) return false;
  const char* found = std::strstr(path, kLibraryName);
  if (found == nullptr || found[sizeof kLibraryName - 1] != '\0') return false;
  std::strncpy(mapping->path, path, sizeof mapping->path - 1);
  return true;
}

int find_library(int process_id, Mapping* mapping) {
  char path[64];
  Text(path, sizeof path).put("/proc/").number(static_cast<uint64_t>(process_id)).put("/maps");
  const File maps(path);
  if (maps.error() != 0) return maps.error() == ENOENT ? ESRCH : EPERM;
  char line[1024];
  size_t length = 0;
  char chunk[4096];
  for (long got; (got = maps.read(chunk, sizeof chunk)) > 0;) {
    for (long i = 0; i < got; ++i) {
      if (chunk[i] != '\n') {
        if (length + 1 < sizeof line) line[length++] = chunk[i];
        continue;
      }
      line[length] = '\0';
      length = 0;
      if (is_library(line, mapping)) return 0;
    }
  }
  return ENOENT;
}

// The symbol's address relative to the library's load address; 0 when the file has none.
uint64_t find_symbol(int process_id, const char* library) {
  char path[600];
  Text(path, sizeof path)
      .put("/proc/")
      .number(static_cast<uint64_t>(process_id))
      .put("/root")
      .put(library);
  const File file(path);
  Elf64_Ehdr header;
  if (file.error() != 0 || !file.read_at(0, &header, sizeof header)) return 0;
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    if (!file.read_at(header.e_shoff + i * sizeof section, &section, sizeof section)) return 0;
    if (section.sh_type != SHT_DYNSYM) continue;
    Elf64_Shdr names;
    if (!file.read_at(header.e_shoff + section.sh_link * sizeof names, &names, sizeof names))
      return 0;
    for (uint64_t at = 0; at < section.sh_size; at += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      char name[sizeof kSymbol];
      if (!file.read_at(section.sh_offset + at, &symbol, sizeof symbol)) return 0;
      if (file.read_at(names.sh_offset + symbol.st_name, name, sizeof name) &&
          std::memcmp(name, kSymbol, sizeof kSymbol) == 0) {
        return symbol.st_value;
      }
    }
  }
  return 0;
}

// 0, or an errno value.
int copy_out(int process_id, uint64_t address, void* to, size_t bytes) {
  iovec local = {to, bytes};
  iovec remote = {reinterpret_cast<void*>(address), bytes};
  const long got =
      system_call(SYS_process_vm_readv, process_id, as_long(&local), 1, as_long(&remote), 1, 0);
  if (got == static_cast<long>(bytes)) return 0;
  return got < 0 ? static_cast<int>(-got) : EFAULT;
}

void count_remote_caches(int process_id, const ThreadCache* first, CachedObjects* sum) {
  alignas(ThreadCache) char bytes[sizeof(ThreadCache)];
  unsigned left = kMaxCaches;
  for (const ThreadCache* at = first; at != nullptr && left-- != 0;) {
    if (copy_out(process_id, reinterpret_cast<uint64_t>(at), bytes, sizeof bytes) != 0) return;
    const auto* cache = reinterpret_cast<const ThreadCache*>(bytes);
    sum->add(*cache);
    at = cache->next;
  }
}

}  // namespace

int take_snapshot_of(int process_id, trimalloc_stats* out) {
  if (out->struct_size != sizeof *out) return EPROTO;
  Mapping library;
  if (const int error = find_library(process_id, &library)) return error;
  const uint64_t symbol = find_symbol(process_id, library.path);
  if (symbol == 0) return EPROTO;
  // 40 KiB, on the stack of a caller that is Python.
  alignas(Tiers) char bytes[sizeof(Tiers)];
  const int error = copy_out(process_id, library.begin + symbol, bytes, sizeof bytes);
  if (error != 0) return error;
  auto* tiers = reinterpret_cast<Tiers*>(bytes);
  if (tiers->mark != kTiersMark || tiers->version != kTiersVersion ||
      tiers->bytes != sizeof bytes) {
    return EPROTO;
  }
  CachedObjects cached;
  count_remote_caches(process_id, tiers->caches.first_cache(), &cached);
  fill_stats(*tiers, cached, out);
  return 0;
}

}  // namespace tri
