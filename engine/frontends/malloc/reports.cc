#include "engine/frontends/malloc/reports.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "engine/base/text.h"
#include "engine/frontends/malloc/engine.h"
#include "engine/frontends/malloc/settings.h"
#include "engine/observe/snapshot.h"

namespace tri {
namespace {

// What stderr was at the start. A program may close it and open a file of its own in its place.
struct Place {
  dev_t device;
  ino_t inode;
  bool known;
};
constinit Place g_stderr = {0, 0, false};

Place place_of_stderr() {
  struct stat status = {};
  const int saved = errno;
  const bool known = ::fstat(STDERR_FILENO, &status) == 0;
  errno = saved;
  return {status.st_dev, status.st_ino, known};
}

void put(const Text& text) {
  const Place now = place_of_stderr();
  if (!now.known || now.device != g_stderr.device || now.inode != g_stderr.inode) return;
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.c_str(), text.length());
}

void put_row(Text& text, const char* name, uint64_t bytes, uint64_t whole) {
  text.put("  ").put(name);
  for (size_t length = __builtin_strlen(name); length < 28; ++length) text.put_char(' ');
  text.size(bytes, 6);
  if (whole != 0) text.put("   ").number((bytes * 100 + whole / 2) / whole, 3).put(" %");
  text.put("\n");
}

// Free between objects in use, with memory behind it.
uint64_t loose(const trimalloc_stats& stats) {
  return stats.central_free + stats.span_tail - stats.span_holes;
}

// The classes that hold the most memory, the fullest first.
void put_classes(Text& text, const trimalloc_stats& stats) {
  bool shown[TRIMALLOC_SIZE_CLASSES] = {};
  text.put("  largest size classes          object    in use    cached   in spans\n");
  for (unsigned line = 0; line < 5; ++line) {
    unsigned best = 0;
    uint64_t most = 0;
    for (unsigned i = 1; i < TRIMALLOC_SIZE_CLASSES; ++i) {
      const uint64_t bytes = stats.classes[i].spans * stats.classes[i].span_pages * kPageBytes;
      if (!shown[i] && bytes > most) {
        most = bytes;
        best = i;
      }
    }
    if (best == 0) return;
    shown[best] = true;
    const trimalloc_class_stats& c = stats.classes[best];
    text.put("                           ").number(c.object_bytes, 9).put("  ");
    text.size(c.in_use * c.object_bytes, 4).put("  ");
    text.size((c.thread_cached + c.transfer_cached) * c.object_bytes, 4).put("  ");
    text.size(most, 4).put("\n");
  }
}

}  // namespace

void remember_stderr() { g_stderr = place_of_stderr(); }

void print_report() {
  if (!ensure_started()) return;
  static constinit trimalloc_stats stats;  // 10 KiB: too much for a thread's last stack page
  stats.struct_size = sizeof stats;
  take_snapshot(g_tiers, &stats);
  const uint64_t resident =
      stats.committed - stats.page_heap_released - stats.span_holes + stats.metadata;
  char buffer[4096];
  Text text(buffer, sizeof buffer);
  text.put("trimalloc: process ").number(static_cast<uint64_t>(::getpid()));
  text.put(", where the memory is (peak ").size(stats.peak_resident).put(")\n");
  put_row(text, "in use, size classes", stats.small_in_use, resident);
  put_row(text, "in use, large objects", stats.large_in_use, resident);
  put_row(text,
          stats.caches_by_processor != 0 ? "free in processor caches" : "free in thread caches",
          stats.thread_cached, resident);
  put_row(text, "free in transfer caches", stats.transfer_cached, resident);
  put_row(text, "free in spans", loose(stats), resident);
  put_row(text, "free pages, resident", stats.page_heap_resident, resident);
  put_row(text, "allocator's own structures", stats.metadata, resident);
  put_row(text, "together", resident, 0);
  put_row(text, "given back since the start", stats.released_bytes, 0);
  put_classes(text, stats);
  put(text);
}

bool StatsLines::print_when_due(uint64_t now_ms) {
  const uint64_t period_ms = g_settings.stats_every.load(std::memory_order_relaxed) * 1000;
  if (period_ms == 0) return false;
  if (last_ms_ == 0) last_ms_ = now_ms;
  if (now_ms - last_ms_ < period_ms) return true;
  last_ms_ = now_ms;
  static constinit trimalloc_stats stats;
  stats.struct_size = sizeof stats;
  take_snapshot(g_tiers, &stats);
  char buffer[512];
  Text text(buffer, sizeof buffer);
  text.put("trimalloc: process ").number(static_cast<uint64_t>(::getpid())).put(": in use ");
  text.size(stats.small_in_use + stats.large_in_use).put(", cached ");
  text.size(stats.thread_cached + stats.transfer_cached).put(", free in spans ");
  text.size(loose(stats)).put(", free pages ");
  text.size(stats.page_heap_resident).put(", given back ").size(stats.released_bytes).put("\n");
  put(text);
  return true;
}

}  // namespace tri
