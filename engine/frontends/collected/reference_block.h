// A block of references on their way to a marker: from mutators, who never write mark bits
// themselves, and from one marker to another.
#pragma once

#include "engine/frontends/collected/reference.h"

namespace tri::collected {

struct ReferenceBlock {
  static constexpr uint32_t kCapacity = 252;
  ReferenceBlock* next = nullptr;
  uint32_t count = 0;
  Reference references[kCapacity];
};

}  // namespace tri::collected
