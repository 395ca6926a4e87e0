// The kernel's small texts about a process, read in one go and without libc. Fields count from 1,
// as in proc(5).
#pragma once

#include <fcntl.h>

#include <cstddef>
#include <cstdint>

#include "engine/platform/syscalls.h"

namespace tri::platform {

// The first bytes of a file, as text; empty when it cannot be read.
template <size_t kBytes>
class ProcFile {
 public:
  explicit ProcFile(const char* path) {
    const long file = system_call(SYS_openat, AT_FDCWD, as_long(path), O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    const long length = system_call(SYS_read, file, as_long(text_), kBytes - 1);
    system_call(SYS_close, file);
    if (length > 0) text_[length] = '\0';
  }
  const char* text() const { return text_; }

 private:
  char text_[kBytes] = {};
};

// The number that field `wanted` of a text begins with, when `at` stands in field `field`; 0: there
// is no such field.
inline uint64_t number_in_field(const char* at, int field, int wanted) {
  for (; field < wanted; ++at) {
    if (*at == '\0') return 0;
    if (*at == ' ') ++field;
  }
  uint64_t value = 0;
  for (; *at >= '0' && *at <= '9'; ++at) value = value * 10 + static_cast<unsigned>(*at - '0');
  return value;
}

}  // namespace tri::platform
