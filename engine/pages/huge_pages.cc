#include "engine/pages/huge_pages.h"

#include <algorithm>

#include "engine/base/tunables.h"

namespace tri {

bool HugePages::supported() {
  if (support_ == Support::kUnknown) {
    const bool fits = arena_.os().huge_page_bytes() == kHugePageBytes;
    support_ = fits ? Support::kYes : Support::kNo;
  }
  return support_ == Support::kYes;
}

bool HugePages::mark(HugePageBits& bits, size_t index) {
  return bits.set(index, [this](size_t bytes) { return arena_.allocate_metadata(bytes); });
}

void HugePages::look(uint64_t now_ms, uint64_t program_ns, uint64_t (*own_ns)(), bool (*go_on)()) {
  const size_t count = bytes_of(arena_.committed_pages()) / kHugePageBytes;
  if (count < tunable::kHugePagesFrom || now_ms < paused_until_ms_ || !supported()) return;
  if (next_ == 0 && now_ms - pass_ended_ms_ < tunable::kHugePassMs) return;
  if (program_ns < program_ns_) spent_ns_ = 0;  // a forked child: its clock begins anew
  program_ns_ = program_ns;
  const uint64_t allowed_ns =
      std::min(program_ns / tunable::kHugeCpuPart, spent_ns_ + tunable::kHugeLookNs);
  const uint64_t before_ns = own_ns();
  uint64_t spent_ns = spent_ns_;
  while (next_ < count && spent_ns < allowed_ns && now_ms >= paused_until_ms_ && go_on()) {
    look_at(next_++, now_ms);
    spent_ns = spent_ns_ + (own_ns() - before_ns);
  }
  spent_ns_ = spent_ns;
  if (next_ < count) return;
  next_ = 0;
  pass_ended_ms_ = now_ms;
  ++passes_;
}

void HugePages::look_at(size_t index, uint64_t now_ms) {
  HugePageBits& huge = arena_.huge_pages();
  const bool is_huge = huge.test(index);
  if (is_huge && passes_ % tunable::kHugeAgain != 0) return;
  const platform::Os& os = arena_.os();
  char* const begin = arena_.base() + index * kHugePageBytes;
  if (os.own_pages(begin, kHugePageBytes) != kHugePageBytes / os.page_bytes) {
    full_.take(index);
    return;
  }
  if (!full_.test(index)) {
    mark(full_, index);
    return;
  }
  // Marked first. Of a part that is given back just then the kernel may make memory again, 2 MiB at
  // most, which nobody knows of until it is used.
  if (!mark(huge, index)) return;
  if (os.collapse(begin, kHugePageBytes)) {
    if (!is_huge) made_.fetch_add(1, std::memory_order_relaxed);
    refusals_ = 0;
    return;
  }
  if (!is_huge) huge.take(index);
  full_.take(index);
  if (++refusals_ == tunable::kHugeRefusals) {
    refusals_ = 0;
    paused_until_ms_ = now_ms + tunable::kHugePauseMs;
  }
}

}  // namespace tri
