#include "engine/frontends/collected/cycle_trace.h"

#include <cstdlib>
#include <cstring>

#include <unistd.h>

#include "engine/base/text.h"
#include "engine/frontends/collected/collected_heap.h"
#include "engine/platform/cpu.h"
#include "engine/platform/thread.h"

namespace tri::collected {
namespace {

constexpr uint64_t kNsPerMs = 1000000;

void put_thousandths(Text& text, uint64_t thousandths) {
  text.number(thousandths / 1000).put_char('.');
  for (uint64_t digit = 100; digit != 0; digit /= 10) text.number(thousandths / digit % 10);
}
void put_ms(Text& text, uint64_t ns) { put_thousandths(text, ns / 1000); }

}  // namespace

void CycleTrace::start() {
  const char* const asked = std::getenv("TRIMALLOC_GCTRACE");
  is_on_ = asked != nullptr && std::strcmp(asked, "1") == 0;
  started_ns_ = platform::now_ns();
}

void CycleTrace::begin_cycle(uint64_t heap_bytes, uint64_t goal_bytes) {
  if (!is_on_) return;
  heap_bytes_ = heap_bytes;
  goal_bytes_ = goal_bytes;
  cpu_ns_ = platform::own_cpu_ns();
}

void CycleTrace::end_cycle(const CollectorCounters& counters, uint64_t helped_ns,
                           uint64_t live_bytes, uint32_t processors, bool forced) {
  if (!is_on_) return;
  const uint64_t cpu_ns = platform::own_cpu_ns() - cpu_ns_ + helped_ns;
  const uint64_t since_ns = platform::now_ns() - started_ns_;
  total_cpu_ns_ += cpu_ns;
  char buffer[320];
  Text text(buffer, sizeof buffer);
  text.put("trimalloc gc ").number(counters.cycles).put(" @");
  put_thousandths(text, since_ns / kNsPerMs);
  const uint64_t available_ns = since_ns * processors;
  text.put("s ").number(available_ns == 0 ? 0 : total_cpu_ns_ * 100 / available_ns).put("%: ");
  put_ms(text, counters.first_stop_ns);
  put_ms(text.put_char('+'), counters.mark_ns);
  put_ms(text.put_char('+'), counters.second_stop_ns);
  put_ms(text.put_char('+'), counters.sweep_ns);
  put_ms(text.put(" ms clock, "), cpu_ns);
  text.put(" ms cpu, ").size(heap_bytes_).put("->").size(marked_heap_bytes_).put("->");
  text.size(live_bytes).put(", ");
  if (goal_bytes_ == UINT64_MAX) {
    text.put("no");
  } else {
    text.size(goal_bytes_);
  }
  text.put(" goal, ").number(processors).put(" P, ").number(counters.markers);
  text.put(counters.markers == 1 ? " marker" : " markers").put(forced ? " (forced)\n" : "\n");
  // One write, so that lines of several processes do not mix. A line that is lost changes nothing.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.c_str(), text.length());
}

}  // namespace tri::collected
