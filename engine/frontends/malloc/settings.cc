#include "engine/frontends/malloc/settings.h"

#include <sys/auxv.h>
#include <unistd.h>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "engine/base/text.h"
#include "engine/base/tunables.h"

namespace tri {

constinit Settings g_settings = {
    .arena = tunable::kArenaBytes,
    .limit = 0,
    .soft_limit = 0,
    .release_delay_ms = tunable::kReleaseDelayMs,
    .idle_drain_ms = tunable::kIdleDrainMs,
    .thread_cache_max = tunable::kThreadCacheBudgetBytes,
    .scavenger = 1,
    .huge_pages = 0,
    .check = 0,
    .report = 0,
    .stats_every = 0,
    .follow = 1,
    .mode = static_cast<uint64_t>(Mode::kFull),
    .caches = static_cast<uint64_t>(Caches::kAuto),
};

namespace {

enum class Kind : uint8_t { kSize, kNumber, kFlag, kMode, kCaches };

struct Setting {
  const char* name;
  Kind kind;
  bool live;  // may be changed while the program runs
  std::atomic<uint64_t>* value;
  const char* help;
};

constexpr Setting kSettings[] = {
    {"arena", Kind::kSize, false, &g_settings.arena,
     "address range reserved at start (default 1T); only addresses, not memory"},
    {"limit", Kind::kSize, true, &g_settings.limit,
     "hard limit on the memory of the arena (default 0: none); malloc returns NULL rather than "
     "pass it"},
    {"soft_limit", Kind::kSize, true, &g_settings.soft_limit,
     "from here on free memory is released at once and pressure callbacks run (default 7/8 of "
     "limit)"},
    {"release_delay_ms", Kind::kNumber, true, &g_settings.release_delay_ms,
     "free pages unused for this long go back to the OS (default 200)"},
    {"idle_drain_ms", Kind::kNumber, true, &g_settings.idle_drain_ms,
     "caches of threads that used next to no CPU for this long are emptied (default 400)"},
    {"thread_cache_max", Kind::kSize, true, &g_settings.thread_cache_max,
     "what all thread caches together may hold (default 32M)"},
    {"scavenger", Kind::kFlag, true, &g_settings.scavenger,
     "1: a background thread gives memory back, also when the program is idle (default 1)"},
    {"huge_pages", Kind::kFlag, true, &g_settings.huge_pages,
     "1: the background thread makes huge pages of what is dense and stays (default 0)"},
    {"check", Kind::kFlag, false, &g_settings.check,
     "1: no thread caches, so that every double free stops at the call; slow (default 0)"},
    {"report", Kind::kFlag, true, &g_settings.report,
     "1: print at exit where the memory was, tier by tier (default 0)"},
    {"stats_every", Kind::kNumber, true, &g_settings.stats_every,
     "print a line with the tiers every so many seconds (default 0: never)"},
    {"follow", Kind::kFlag, false, &g_settings.follow,
     "0: child processes run without trimalloc (default 1)"},
    {"mode", Kind::kMode, false, &g_settings.mode,
     "which of CPython's allocators are put on trimalloc at start: full, arena or malloc, that is "
     "none "
     "(default full)"},
    {"caches", Kind::kCaches, false, &g_settings.caches,
     "whom caches belong to: thread, cpu (where the system has restartable sequences) or auto "
     "(default auto)"},
};

constexpr char kPrefix[] = "TRIMALLOC_";
constexpr size_t kPrefixLength = sizeof kPrefix - 1;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Compares up to the end of `name`; `text` may go on with '='.
bool same_name(const char* text, size_t length, const char* name) {
  if (std::strlen(name) != length) return false;
  for (size_t i = 0; i < length; ++i) {
    if (lower(text[i]) != name[i]) return false;
  }
  return true;
}

const Setting* find(const char* name, size_t length) {
  for (const Setting& setting : kSettings) {
    if (same_name(name, length, setting.name)) return &setting;
  }
  return nullptr;
}

// "512M", "2g", "1048576", with an optional "B" or "iB" behind the unit.
bool parse_number(const char* text, bool with_unit, uint64_t* value) {
  if (*text < '0' || *text > '9') return false;
  uint64_t number = 0;
  for (; *text >= '0' && *text <= '9'; ++text) {
    if (__builtin_mul_overflow(number, uint64_t{10}, &number) ||
        __builtin_add_overflow(number, static_cast<uint64_t>(*text - '0'), &number)) {
      return false;
    }
  }
  if (with_unit && *text != '\0') {
    static constexpr char kUnits[] = "kmgt";
    const char* unit = std::strchr(kUnits, lower(*text));
    if (unit != nullptr && *unit != '\0') {
      const unsigned shift = 10 * (static_cast<unsigned>(unit - kUnits) + 1);
      if (number > (UINT64_MAX >> shift)) return false;
      number <<= shift;
      ++text;
      if (lower(*text) == 'i') ++text;
    }
    if (lower(*text) == 'b') ++text;
  }
  *value = number;
  return *text == '\0';
}

template <size_t kCount>
bool parse_name(const char* text, const char* const (&names)[kCount], uint64_t* value) {
  for (uint64_t i = 0; i < kCount; ++i) {
    if (std::strcmp(text, names[i]) == 0) {
      *value = i;
      return true;
    }
  }
  return false;
}

bool parse(const Setting& setting, const char* text, uint64_t* value) {
  switch (setting.kind) {
    case Kind::kSize:
      return parse_number(text, true, value);
    case Kind::kNumber:
      return parse_number(text, false, value) && *value <= UINT32_MAX;
    case Kind::kFlag:
      return parse_number(text, false, value) && *value <= 1;
    case Kind::kMode:
      return parse_name(text, kModeNames, value);
    case Kind::kCaches:
      return parse_name(text, kCachesNames, value);
  }
  return false;
}

const char* expectation(Kind kind) {
  switch (kind) {
    case Kind::kSize:
      return "a size such as 512M or 2G";
    case Kind::kNumber:
      return "a number";
    case Kind::kFlag:
      return "0 or 1";
    case Kind::kMode:
      return "full, arena or malloc";
    case Kind::kCaches:
      return "thread, cpu or auto";
  }
  return "";
}

// Levenshtein's distance, for names of at most 31 letters.
unsigned distance(const char* a, size_t a_length, const char* b) {
  unsigned row[32];
  const size_t b_length = std::strlen(b);
  for (unsigned j = 0; j <= b_length; ++j) row[j] = j;
  for (size_t i = 1; i <= a_length; ++i) {
    unsigned diagonal = row[0];
    row[0] = static_cast<unsigned>(i);
    for (size_t j = 1; j <= b_length; ++j) {
      const unsigned substituted = diagonal + (lower(a[i - 1]) != b[j - 1] ? 1 : 0);
      diagonal = row[j];
      unsigned best = substituted;
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  return row[b_length];
}

// A line, also when the text was cut: `buffer` has room for one more.
void put_line(char* buffer, const Text& text) {
  buffer[text.length()] = '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, buffer, text.length() + 1);
}

void put_upper(Text& text, const char* name, size_t length) {
  for (size_t i = 0; i < length; ++i) {
    const char c = name[i];
    text.put_char(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
  }
}

void report_unknown(const char* name, size_t length) {
  char buffer[256];
  Text text(buffer, sizeof buffer - 1);
  text.put("trimalloc: ").put(kPrefix);
  put_upper(text, name, length);
  text.put(" is not a setting");
  const char* nearest = nullptr;
  unsigned least = 4;
  if (length < 32) {
    for (const Setting& setting : kSettings) {
      const unsigned here = distance(name, length, setting.name);
      if (here < least) {
        least = here;
        nearest = setting.name;
      }
    }
  }
  if (nearest != nullptr) {
    text.put("; did you mean ").put(kPrefix);
    put_upper(text, nearest, std::strlen(nearest));
    text.put("?");
  } else {
    text.put("; trimalloc.config() lists them");
  }
  put_line(buffer, text);
}

void report_bad_value(const Setting& setting, const char* value) {
  char buffer[256];
  Text text(buffer, sizeof buffer - 1);
  text.put("trimalloc: ").put(kPrefix);
  put_upper(text, setting.name, std::strlen(setting.name));
  text.put("=").put(value).put(" is ignored: it takes ").put(expectation(setting.kind));
  put_line(buffer, text);
}

// Names of the family that `trimalloc compare` and the tests read.
bool is_other_name(const char* name, size_t length) {
  return std::strncmp(name, "COMPARE_", 8) == 0 || same_name(name, length, "library");
}

}  // namespace

void read_settings_from_environment(bool report) {
  if (environ == nullptr) return;  // before libc has started; the constructor reads them again
  // A program with more rights than its user does not take the user's word (as secure_getenv).
  if (::getauxval(AT_SECURE) != 0) return;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, kPrefix, kPrefixLength) != 0) continue;
    const char* name = *entry + kPrefixLength;
    const char* equals = std::strchr(name, '=');
    if (equals == nullptr) continue;
    const auto length = static_cast<size_t>(equals - name);
    const Setting* setting = find(name, length);
    if (setting == nullptr) {
      if (report && !is_other_name(name, length)) report_unknown(name, length);
      continue;
    }
    uint64_t value = 0;
    if (parse(*setting, equals + 1, &value)) {
      setting->value->store(value, std::memory_order_relaxed);
    } else if (report) {
      report_bad_value(*setting, equals + 1);
    }
  }
}

int get_setting(const char* name, char* text, size_t text_bytes) {
  const Setting* setting = find(name, std::strlen(name));
  if (setting == nullptr || text_bytes == 0) return -1;
  Text out(text, text_bytes);
  const uint64_t value = setting->value->load(std::memory_order_relaxed);
  if (setting->kind == Kind::kMode) {
    out.put(kModeNames[value]);
  } else if (setting->kind == Kind::kCaches) {
    out.put(kCachesNames[value]);
  } else {
    out.number(value);
  }
  return static_cast<int>(out.length());
}

int store_setting(const char* name, const char* text) {
  const Setting* setting = find(name, std::strlen(name));
  if (setting == nullptr) return ENOENT;
  if (!setting->live) return EACCES;
  uint64_t value = 0;
  if (!parse(*setting, text, &value)) return EINVAL;
  setting->value->store(value, std::memory_order_relaxed);
  return 0;
}

const char* setting_name(unsigned index) {
  return index < sizeof kSettings / sizeof *kSettings ? kSettings[index].name : nullptr;
}

const char* setting_help(unsigned index) {
  return index < sizeof kSettings / sizeof *kSettings ? kSettings[index].help : nullptr;
}

}  // namespace tri
