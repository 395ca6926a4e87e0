// The operating system of the tests: real memory under it, but it fails on command, refuses large
// ranges, pretends to have larger pages, keeps a diary, and has a clock that the test turns.
//
// It also holds the engine to the contract that the real one enforces only on machines with such
// pages: every range it is given begins and ends on a hardware page.
//
// The engine's table has no room for a context, so there is one FakeOs at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/platform/os.h"

namespace tri::testing {

struct Range {
  char* begin;
  size_t bytes;
  bool operator==(const Range&) const = default;
};

class FakeOs {
 public:
  explicit FakeOs(size_t page_bytes = 4096);
  ~FakeOs();
  FakeOs(const FakeOs&) = delete;
  FakeOs& operator=(const FakeOs&) = delete;

  const platform::Os& table() const { return table_; }
  // Makes this the system of engines that ask for the real one: of the malloc front end.
  void replace_the_real_one();

  // --- failure. Calls that may fail are reserve, commit, commit_unreserved and remap. ---------
  // Of those, the `n`-th from now on fails (1: the next one), and only that one.
  void fail_call(uint64_t n) { failing_call_ = fallible_calls_ + n; }
  // From now on every one fails, until `recover`.
  void fail_every_call() { failing_ = true; }
  void recover() {
    failing_ = false;
    failing_call_ = 0;
  }
  uint64_t fallible_calls() const { return fallible_calls_; }
  // reserve() refuses more than this.
  void refuse_ranges_above(size_t bytes) { largest_range_ = bytes; }

  // Runs once, inside the next such call: what other threads do while somebody waits for the
  // system.
  void during_next_commit(std::function<void()> action) { during_commit_ = std::move(action); }
  void during_next_release(std::function<void()> action) { during_release_ = std::move(action); }

  // --- the clock ------------------------------------------------------------------------------
  void advance_ms(uint64_t ms) { now_ms_ += ms; }
  uint64_t now_ms() const { return now_ms_; }

  // --- the diary ------------------------------------------------------------------------------
  const std::vector<Range>& reserved() const { return reserved_; }
  // Since the last call of take_released(): what was given back, in order.
  std::vector<Range> take_released();
  const std::vector<Range>& refreshed() const { return refreshed_; }
  // What huge pages were asked for.
  const std::vector<Range>& preferred() const { return preferred_; }
  // What became huge pages, and what was taken out of one.
  const std::vector<Range>& collapsed() const { return collapsed_; }
  const std::vector<Range>& split_ranges() const { return split_; }
  void set_huge_page_bytes(size_t bytes) { huge_page_bytes_ = bytes; }
  // From now on collapse() is refused, or the process shares its pages with another one.
  void keep_small_pages(bool keep = true) { keeps_small_pages_ = keep; }
  void share_pages(bool share = true) { shares_pages_ = share; }
  // What was populated, from here on. Not always: it is asked for without the engine's locks, so
  // that a fork may come meanwhile, and the diary's lock and memory are the test's.
  void note_populated() { notes_populated_ = true; }
  const std::vector<Range>& populated() const { return populated_; }
  uint64_t remaps() const { return remaps_; }
  // The most mappings that the source of one remap has lain in. Before Linux 6.17 the kernel moves
  // pages of one mapping only, and it finds that out after it has dropped the target.
  unsigned most_mappings_remapped() const { return most_mappings_remapped_; }
  size_t committed_bytes() const { return committed_bytes_; }
  // From now on release() and refresh() are refused, as for locked memory.
  void keep_memory() { keeps_memory_ = true; }
  // release() is noted but not done: for tests that look only at the books.
  void keep_memory_on_release() { releases_memory_ = false; }

 private:
  bool next_call_fails();
  void check_aligned(const void* range, size_t bytes) const;

  static void* reserve(size_t bytes, size_t alignment);
  static void unreserve(void* range, size_t bytes);
  static bool commit(void* range, size_t bytes);
  static bool commit_unreserved(void* range, size_t bytes);
  static bool release(void* range, size_t bytes);
  static bool remap(void* from, void* to, size_t bytes);
  static bool refresh(void* range, size_t bytes);
  static void prefer_huge_pages(void* range, size_t bytes);
  static size_t huge_page_bytes();
  static bool collapse(void* range, size_t bytes);
  static void split(void* range, size_t bytes);
  static size_t own_pages(const void* range, size_t bytes);
  static void populate(void* range, size_t bytes);
  static void label(void* range, size_t bytes, const char* name);
  static uint64_t now();

  static FakeOs* current_;

  const platform::Os real_;
  platform::Os table_;
  std::mutex mutex_;  // the lists: release() comes from several threads
  std::vector<Range> preferred_, populated_, collapsed_, split_;
  std::vector<Range> reserved_, mapped_, released_, refreshed_;
  std::atomic<uint64_t> fallible_calls_{0};
  uint64_t failing_call_ = 0;
  bool failing_ = false;
  std::function<void()> during_commit_;
  std::function<void()> during_release_;
  bool releases_memory_ = true;
  bool keeps_memory_ = false;
  bool notes_populated_ = false;
  size_t huge_page_bytes_ = size_t{2} << 20;
  bool keeps_small_pages_ = false;
  bool shares_pages_ = false;
  uint64_t remaps_ = 0;
  unsigned most_mappings_remapped_ = 0;
  size_t largest_range_ = SIZE_MAX;
  std::atomic<size_t> committed_bytes_{0};
  std::atomic<uint64_t> now_ms_{1000};
};

}  // namespace tri::testing
