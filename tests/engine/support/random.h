// Random numbers for model tests. The seed is printed, so that a failure can be seen again:
// ENGINE_TEST_SEED=<seed> runs the same operations.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace tri::testing {

inline uint64_t seed_of_this_run() {
  const char* given = std::getenv("ENGINE_TEST_SEED");
  uint64_t seed = given == nullptr ? 0 : std::strtoull(given, nullptr, 0);
  if (seed == 0) {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    seed = static_cast<uint64_t>(now.tv_nsec) + static_cast<uint64_t>(now.tv_sec) * 1000003;
  }
  std::printf("ENGINE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

// splitmix64 (Steele, Lea and Flood, 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0 to bound - 1.
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(next() % bound); }
  uint32_t between(uint32_t least, uint32_t most) { return least + below(most - least + 1); }
  bool one_in(uint32_t n) { return below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace tri::testing
