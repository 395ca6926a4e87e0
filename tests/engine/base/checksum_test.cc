#include "engine/base/checksum.h"

#include <string>

#include "tests/engine/support/expect.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

uint64_t checksum_of(const std::string& text) {
  Checksum checksum;
  checksum.update(text.data(), text.size());
  return checksum.value();
}

// Bytes of no pattern that a checksum could like: i * 131 modulo 256.
std::string some_bytes(size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(i * 131);
  return bytes;
}

// What other implementations of XXH64 give, with seed 0.
CASE(IsXxh64) {
  CHECK_EQ(checksum_of(""), 0xEF46DB3751D8E999u);
  CHECK_EQ(checksum_of("a"), 0xD24EC4F1A98C6E5Bu);
  CHECK_EQ(checksum_of("abc"), 0x44BC2CF5AD770999u);
  CHECK_EQ(checksum_of(some_bytes(31)), 0x1ADD2D10328C4897u);
  CHECK_EQ(checksum_of(some_bytes(32)), 0x333288D992CF3B16u);
  CHECK_EQ(checksum_of(some_bytes(100)), 0xACD07A6400E07DEFu);
  CHECK_EQ(checksum_of(some_bytes(1000)), 0xAB7190F153084532u);
}

CASE(PiecesGiveTheSameAsTheWhole) {
  const std::string bytes = some_bytes(200);
  for (size_t first = 0; first <= bytes.size(); ++first) {
    for (size_t second = first; second <= bytes.size(); second += 7) {
      Checksum checksum;
      checksum.update(bytes.data(), first);
      checksum.update(bytes.data() + first, second - first);
      checksum.update(bytes.data() + second, bytes.size() - second);
      CHECK_EQ(checksum.value(), checksum_of(bytes));
    }
  }
}

CASE(ZerosNeedNoMemory) {
  for (size_t count : {0u, 1u, 31u, 32u, 4096u, 4097u, 100000u}) {
    Checksum checksum;
    checksum.update_zeros(count);
    CHECK_EQ(checksum.value(), checksum_of(std::string(count, '\0')));
  }
}

}  // namespace
}  // namespace tri
