// XXH64, the 64-bit checksum of the xxHash specification, over bytes that come piece by piece. It
// finds damage, not malice. Chosen over a CRC because it runs at the speed of memory on every
// machine without instructions or tables of its own.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tri {

class Checksum {
 public:
  Checksum() = default;

  void update(const void* data, size_t bytes) {
    const char* from = static_cast<const char*>(data);
    total_ += bytes;
    if (held_ != 0) {
      const size_t part = bytes < kStripe - held_ ? bytes : kStripe - held_;
      std::memcpy(stripe_ + held_, from, part);
      held_ += part;
      from += part;
      bytes -= part;
      if (held_ < kStripe) return;
      take(stripe_, 1);
      held_ = 0;
    }
    take(from, bytes / kStripe);
    from += bytes / kStripe * kStripe;
    bytes %= kStripe;
    if (bytes != 0) std::memcpy(stripe_, from, bytes);
    held_ = bytes;
  }
  void update_zeros(size_t bytes) {
    static constexpr char kZeros[4096] = {};
    for (; bytes > sizeof kZeros; bytes -= sizeof kZeros) update(kZeros, sizeof kZeros);
    update(kZeros, bytes);
  }

  uint64_t value() const {
    uint64_t hash = kPrime5;
    if (total_ >= kStripe) {
      hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
             std::rotl(lanes_[3], 18);
      for (const uint64_t lane : lanes_) hash = (hash ^ round(0, lane)) * kPrime1 + kPrime4;
    }
    hash += total_;
    size_t at = 0;
    for (; at + 8 <= held_; at += 8) {
      hash = std::rotl(hash ^ round(0, word<uint64_t>(stripe_ + at)), 27) * kPrime1 + kPrime4;
    }
    for (; at + 4 <= held_; at += 4) {
      hash = std::rotl(hash ^ word<uint32_t>(stripe_ + at) * kPrime1, 23) * kPrime2 + kPrime3;
    }
    for (; at < held_; ++at) {
      hash = std::rotl(hash ^ static_cast<uint8_t>(stripe_[at]) * kPrime5, 11) * kPrime1;
    }
    hash = (hash ^ (hash >> 33)) * kPrime2;
    hash = (hash ^ (hash >> 29)) * kPrime3;
    return hash ^ (hash >> 32);
  }

 private:
  static constexpr size_t kStripe = 32;
  static constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87;
  static constexpr uint64_t kPrime2 = 0xC2B2AE3D27D4EB4F;
  static constexpr uint64_t kPrime3 = 0x165667B19E3779F9;
  static constexpr uint64_t kPrime4 = 0x85EBCA77C2B2AE63;
  static constexpr uint64_t kPrime5 = 0x27D4EB2F165667C5;

  // Little-endian, as are all machines that the engine runs on.
  template <typename Word>
  static uint64_t word(const char* from) {
    Word value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
  static uint64_t round(uint64_t lane, uint64_t input) {
    return std::rotl(lane + input * kPrime2, 31) * kPrime1;
  }
  // The lanes are in registers meanwhile: stripes of bytes could be anything, also `this`.
  void take(const char* from, size_t stripes) {
    uint64_t a = lanes_[0], b = lanes_[1], c = lanes_[2], d = lanes_[3];
    for (; stripes != 0; --stripes, from += kStripe) {
      a = round(a, word<uint64_t>(from));
      b = round(b, word<uint64_t>(from + 8));
      c = round(c, word<uint64_t>(from + 16));
      d = round(d, word<uint64_t>(from + 24));
    }
    lanes_[0] = a;
    lanes_[1] = b;
    lanes_[2] = c;
    lanes_[3] = d;
  }

  uint64_t lanes_[4] = {kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1};
  uint64_t total_ = 0;
  size_t held_ = 0;
  char stripe_[kStripe] = {};
};

static_assert(std::endian::native == std::endian::little);

}  // namespace tri
