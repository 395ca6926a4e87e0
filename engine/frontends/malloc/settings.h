// The settings: one table of names, defaults, ranges and help, read from the environment
// (TRIMALLOC_*) at start and through the C interface later.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tri {

// Sizes in bytes, times in ms, flags 0 or 1. Written at start and by set_setting; read anywhere.
struct Settings {
  std::atomic<uint64_t> arena;
  std::atomic<uint64_t> limit;
  std::atomic<uint64_t> soft_limit;
  std::atomic<uint64_t> release_delay_ms;
  std::atomic<uint64_t> idle_drain_ms;
  std::atomic<uint64_t> thread_cache_max;
  std::atomic<uint64_t> scavenger;
  std::atomic<uint64_t> huge_pages;
  std::atomic<uint64_t> check;
  std::atomic<uint64_t> report;
  std::atomic<uint64_t> stats_every;
  std::atomic<uint64_t> follow;
  std::atomic<uint64_t> mode;    // index into kModeNames
  std::atomic<uint64_t> caches;  // index into kCachesNames
};

extern constinit Settings g_settings;

inline constexpr const char* kModeNames[] = {"malloc", "arena", "full"};
enum class Mode : uint8_t { kMalloc, kArena, kFull };
inline constexpr const char* kCachesNames[] = {"auto", "thread", "cpu"};
enum class Caches : uint8_t { kAuto, kThread, kCpu };

// Takes TRIMALLOC_* from the environment. With `report`, names that are not settings and values
// that cannot be read are told in a line each on stderr; they change nothing.
void read_settings_from_environment(bool report);

// Through the C interface; results as its comments say.
int get_setting(const char* name, char* text, size_t text_bytes);
// Parses and stores; the caller puts it into force. 0, ENOENT, EINVAL or EACCES.
int store_setting(const char* name, const char* text);
const char* setting_name(unsigned index);
const char* setting_help(unsigned index);

}  // namespace tri
