// The preloaded library's beginning and end in a process.
#include <unistd.h>
#include <cstdlib>
#include <cstring>

#include "engine/frontends/malloc/background.h"
#include "engine/frontends/malloc/process.h"
#include "engine/frontends/malloc/reports.h"
#include "engine/frontends/malloc/settings.h"
#include "engine/frontends/pymalloc_arenas/hooks.h"

namespace tri {
namespace {

constexpr char kLibraryName[] = "libtrimalloc.so";

// TRIMALLOC_FOLLOW=0: the program's children start without us. What else LD_PRELOAD names stays.
void take_out_of_environment() {
  if (char* list = ::getenv("LD_PRELOAD")) {
    // In place: the entry is cut out of the program's own copy of the text.
    char* out = list;
    for (char* at = list; *at != '\0';) {
      const size_t length = std::strcspn(at, ": ");
      const size_t name = sizeof kLibraryName - 1;
      const bool ours = length >= name && std::memcmp(at + length - name, kLibraryName, name) == 0;
      if (!ours && length != 0) {
        if (out != list) *out++ = ':';
        std::memmove(out, at, length);
        out += length;
      }
      at += length;
      if (*at != '\0') ++at;
    }
    *out = '\0';
    if (out == list) ::unsetenv("LD_PRELOAD");
  }
  for (char** entry = environ; *entry != nullptr;) {
    if (std::strncmp(*entry, "TRIMALLOC_", 10) == 0) {
      char** next = entry;
      do {
        next[0] = next[1];
      } while (*next++ != nullptr);
    } else {
      ++entry;
    }
  }
}

// The library is linked with -z initfirst: its constructor runs before every other, libc's own
// included, so that its fork handlers are registered first and Python's allocators set before
// anybody can ask for them. libc's `environ` is not there yet; the loader passes the environment
// along.
[[gnu::constructor(101)]] void begin(int, char**, char** environment) {
  if (environ == nullptr) environ = environment;
  read_settings_from_environment(true);
  remember_stderr();
  settle_in();
  apply_limits();
  hook_python(static_cast<Mode>(g_settings.mode.load()));
  if (!python_minds_threads()) g_background.be_unnoticed();
  if (g_settings.follow == 0) take_out_of_environment();
}

[[gnu::destructor(101)]] void end() {
  if (g_settings.report != 0) print_report();
}

}  // namespace
}  // namespace tri
