// A key on its way into a container: a number of 64 bits, or bytes that the caller holds.
#pragma once

#include <cstdint>

namespace tri::collected {

struct Key {
  uint64_t number = 0;
  const char* data = nullptr;
  uint32_t length = 0;
  uint64_t hash = 0;  // of the table that made it
};

}  // namespace tri::collected
