// Text about the tiers on stderr: the report at exit and the line every few seconds.
#pragma once

#include <cstdint>

namespace tri {

// Reports go to what stderr is at this moment, and nowhere when something else has taken its place.
void remember_stderr();

// TRIMALLOC_REPORT: where the memory was, tier by tier, and the classes that hold the most.
void print_report();

// TRIMALLOC_STATS_EVERY.
class StatsLines {
 public:
  // True when lines are wanted at all.
  bool print_when_due(uint64_t now_ms);

 private:
  uint64_t last_ms_ = 0;
};

}  // namespace tri
