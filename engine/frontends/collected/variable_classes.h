// Size classes for records of variable length: multiples of 16 to 128 B, then four per doubling to
// 8 KiB, so at most 1/4 is rounding. Longer ones have a span to themselves. Fewer than malloc's,
// because each class that is in use holds a span per processor.
#pragma once

#include <cstdint>

#include "engine/base/bits.h"
#include "engine/frontends/collected/reference.h"

namespace tri::collected {

inline constexpr uint32_t kMaxVariableGranules = kGranulesPerPage;  // 8 KiB
inline constexpr unsigned kVariableClasses = 32;

// The class of a record of `granules`, 1 to kMaxVariableGranules.
constexpr unsigned variable_class(uint32_t granules) {
  if (granules <= 8) return granules - 1;
  const unsigned doubling = highest_bit(granules - 1);  // granules lies in (2^d, 2^(d+1)]
  const uint32_t step = 1u << (doubling - 2);
  return 8 + (doubling - 3) * 4 + (granules - 1 - (1u << doubling)) / step;
}
constexpr uint32_t class_granules(unsigned variable_class) {
  if (variable_class < 8) return variable_class + 1;
  const unsigned doubling = 3 + (variable_class - 8) / 4;
  return (1u << doubling) + ((variable_class - 8) % 4 + 1) * (1u << (doubling - 2));
}

static_assert(variable_class(8) == 7 && variable_class(9) == 8 && class_granules(8) == 10);
static_assert(variable_class(kMaxVariableGranules) == kVariableClasses - 1);
static_assert(class_granules(kVariableClasses - 1) == kMaxVariableGranules);

}  // namespace tri::collected
