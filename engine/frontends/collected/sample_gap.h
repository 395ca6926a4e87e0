// How far it is to the next sample. Each byte that is allocated is as likely to be sampled as any
// other, whatever came before it, so the gaps are exponential; and what of a gap a run leaves over
// is as good as a new one.
#pragma once

#include <cstdint>

#include "engine/frontends/collected/reference.h"

namespace tri::collected {

// Marsaglia's xorshift: chance enough for sampling.
class SampleRandom {
 public:
  explicit SampleRandom(uint64_t seed = 1) : state_(seed != 0 ? seed : 1) {}
  // In [0, 1).
  double uniform() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<double>(state_ >> 11) * 0x1p-53;
  }

 private:
  uint64_t state_;
};

// An exponential number of mean 1, by comparisons alone (von Neumann): a falling sequence of
// uniform numbers that begins with x has odd length with probability exp(-x). The engine has no
// logarithm, being linked with libc only.
inline double exponential(SampleRandom& random) {
  for (double whole = 0;; whole += 1) {
    const double first = random.uniform();
    unsigned length = 1;
    double last = first;
    for (double next = random.uniform(); next < last; next = random.uniform()) {
      last = next;
      ++length;
    }
    if (length % 2 == 1) return whole + first;
  }
}

inline constexpr uint64_t kNoGap = 0;
// How many granules on the sampled one is; 1: it is the next.
inline uint64_t next_sample_gap(SampleRandom& random, uint64_t mean_bytes) {
  const double bytes = exponential(random) * static_cast<double>(mean_bytes);
  return 1 + static_cast<uint64_t>(bytes / kGranuleBytes);
}

}  // namespace tri::collected
