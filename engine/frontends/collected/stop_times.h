// How long calls had to wait for the collector: how often each length occurred. Lengths lie in
// buckets an eighth of a power of two wide, so that a percentile is at most 1/8 too long.
//
// Arithmetic only; who writes holds the cycle lock, others read a copy.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/bits.h"

namespace tri::collected {

class StopTimes {
 public:
  void note(uint64_t ns) {
    ++counts_[bucket_of(ns)];
    ++stops_;
    longest_ns_ = std::max(longest_ns_, ns);
    total_ns_ += ns;
  }
  uint64_t stops() const { return stops_; }
  uint64_t longest_ns() const { return longest_ns_; }
  uint64_t total_ns() const { return total_ns_; }
  // What `percent` of all stops did not exceed; 0 when there was none.
  uint64_t percentile_ns(uint32_t percent) const {
    const uint64_t wanted = (stops_ * percent + 99) / 100;
    uint64_t passed = 0;
    for (uint32_t bucket = 0; bucket < kBuckets - 1; ++bucket) {
      passed += counts_[bucket];
      if (passed >= wanted) return std::min(end_of(bucket), longest_ns_);
    }
    return longest_ns_;
  }

 private:
  static constexpr unsigned kParts = 8;  // of a power of two
  static constexpr unsigned kPartBits = 3;
  static_assert(kParts == 1u << kPartBits);
  // Up to 2^36 ns, a minute; longer ones share the last bucket.
  static constexpr uint32_t kBuckets = (36 - kPartBits + 1) * kParts;

  static uint32_t bucket_of(uint64_t ns) {
    if (ns < kParts) return static_cast<uint32_t>(ns);
    const unsigned shift = highest_bit(ns) - kPartBits;
    return std::min(static_cast<uint32_t>(shift * kParts + (ns >> shift)), kBuckets - 1);
  }
  // The longest time of a bucket.
  static uint64_t end_of(uint32_t bucket) {
    if (bucket < 2 * kParts) return bucket;
    const unsigned shift = bucket / kParts - 1;
    return (uint64_t{bucket % kParts + kParts + 1} << shift) - 1;
  }

  uint32_t counts_[kBuckets] = {};
  uint64_t stops_ = 0;
  uint64_t longest_ns_ = 0;
  uint64_t total_ns_ = 0;
};

}  // namespace tri::collected
