#include "tests/engine/support/fake_os.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tests/engine/support/expect.h"

namespace tri::testing {

FakeOs* FakeOs::current_ = nullptr;

namespace {

unsigned mappings_in(const char* begin, size_t bytes) {
  FILE* maps = std::fopen("/proc/self/maps", "re");
  CHECK(maps != nullptr);
  unsigned count = 0;
  char line[512];
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    unsigned long from = 0, to = 0;
    if (std::sscanf(line, "%lx-%lx", &from, &to) != 2) continue;
    const auto at = reinterpret_cast<uintptr_t>(begin);
    count += from < at + bytes && at < to;
  }
  std::fclose(maps);
  return count;
}

}  // namespace

FakeOs::FakeOs(size_t page_bytes)
    : real_(platform::linux_os()),
      table_{.reserve = reserve,
             .unreserve = unreserve,
             .commit = commit,
             .commit_unreserved = commit_unreserved,
             .release = release,
             .remap = remap,
             .refresh = refresh,
             .prefer_huge_pages = prefer_huge_pages,
             .huge_page_bytes = huge_page_bytes,
             .collapse = collapse,
             .split = split,
             .populate = populate,
             .resident_pages = real_.resident_pages,
             .own_pages = own_pages,
             .label = label,
             .now_ms = now,
             .page_bytes = page_bytes} {
  CHECK(current_ == nullptr);
  current_ = this;
}

FakeOs::~FakeOs() {
  for (const auto* ranges : {&reserved_, &mapped_}) {
    for (const Range& range : *ranges) real_.unreserve(range.begin, range.bytes);
  }
  current_ = nullptr;
}

void FakeOs::replace_the_real_one() {
  // The table is a constant to the engine only; the object is not.
  const_cast<platform::Os&>(platform::linux_os()) = table_;
}

std::vector<Range> FakeOs::take_released() {
  const std::lock_guard guard(mutex_);
  return std::exchange(released_, {});
}

bool FakeOs::next_call_fails() { return ++fallible_calls_ == failing_call_ || failing_; }

void FakeOs::check_aligned(const void* range, size_t bytes) const {
  CHECK_EQ(reinterpret_cast<uintptr_t>(range) % table_.page_bytes, 0u);
  CHECK_EQ(bytes % table_.page_bytes, 0u);
}

void* FakeOs::reserve(size_t bytes, size_t alignment) {
  if (current_->next_call_fails() || bytes > current_->largest_range_) return nullptr;
  void* range = current_->real_.reserve(bytes, alignment);
  if (range != nullptr) current_->reserved_.push_back({static_cast<char*>(range), bytes});
  return range;
}

void FakeOs::unreserve(void* range, size_t bytes) {
  std::erase(current_->reserved_, Range{static_cast<char*>(range), bytes});
  current_->real_.unreserve(range, bytes);
}

bool FakeOs::commit(void* range, size_t bytes) {
  current_->check_aligned(range, bytes);
  if (current_->during_commit_) std::exchange(current_->during_commit_, nullptr)();
  if (current_->next_call_fails() || !current_->real_.commit(range, bytes)) return false;
  current_->committed_bytes_ += bytes;
  return true;
}

bool FakeOs::commit_unreserved(void* range, size_t bytes) {
  current_->check_aligned(range, bytes);
  if (current_->next_call_fails()) return false;
  if (!current_->real_.commit_unreserved(range, bytes)) return false;
  current_->mapped_.push_back({static_cast<char*>(range), bytes});
  current_->committed_bytes_ += bytes;
  return true;
}

bool FakeOs::release(void* range, size_t bytes) {
  current_->check_aligned(range, bytes);
  if (current_->keeps_memory_) return false;
  {
    const std::lock_guard guard(current_->mutex_);
    current_->released_.push_back({static_cast<char*>(range), bytes});
  }
  if (current_->during_release_) std::exchange(current_->during_release_, nullptr)();
  return !current_->releases_memory_ || current_->real_.release(range, bytes);
}

bool FakeOs::remap(void* from, void* to, size_t bytes) {
  current_->check_aligned(from, bytes);
  current_->check_aligned(to, bytes);
  if (current_->next_call_fails()) return false;
  const unsigned mappings = mappings_in(static_cast<char*>(from), bytes);
  if (!current_->real_.remap(from, to, bytes)) return false;
  ++current_->remaps_;
  current_->most_mappings_remapped_ = std::max(current_->most_mappings_remapped_, mappings);
  return true;
}

bool FakeOs::refresh(void* range, size_t bytes) {
  current_->check_aligned(range, bytes);
  if (current_->keeps_memory_) return false;
  {
    const std::lock_guard guard(current_->mutex_);
    current_->refreshed_.push_back({static_cast<char*>(range), bytes});
  }
  return current_->real_.refresh(range, bytes);
}

void FakeOs::prefer_huge_pages(void* range, size_t bytes) {
  current_->check_aligned(range, bytes);
  current_->preferred_.push_back({static_cast<char*>(range), bytes});
}

size_t FakeOs::huge_page_bytes() { return current_->huge_page_bytes_; }

bool FakeOs::collapse(void* range, size_t bytes) {
  if (current_->keeps_small_pages_) return false;
  current_->collapsed_.push_back({static_cast<char*>(range), bytes});
  return true;
}

void FakeOs::split(void* range, size_t bytes) {
  current_->check_aligned(range, bytes);
  const std::lock_guard guard(current_->mutex_);
  current_->split_.push_back({static_cast<char*>(range), bytes});
}

size_t FakeOs::own_pages(const void* range, size_t bytes) {
  return current_->shares_pages_ ? 0 : current_->real_.resident_pages(range, bytes);
}

void FakeOs::populate(void* range, size_t bytes) {
  current_->check_aligned(range, bytes);
  if (!current_->notes_populated_) return;
  const std::lock_guard guard(current_->mutex_);
  current_->populated_.push_back({static_cast<char*>(range), bytes});
}

void FakeOs::label(void*, size_t, const char*) {}

uint64_t FakeOs::now() { return current_->now_ms_; }

}  // namespace tri::testing
