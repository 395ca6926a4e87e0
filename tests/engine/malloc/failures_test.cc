// malloc and its family when the system refuses memory: at each call in turn, and at random.
#include <vector>

#include "tests/engine/support/malloc_engine.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using tunable::kKiB;
using tunable::kMiB;

struct Block {
  char* begin;
  size_t bytes;
  char mark;
};

void mark(Block& block, char value) {
  block.mark = value;
  if (block.bytes == 0) return;
  block.begin[0] = block.begin[block.bytes - 1] = block.begin[block.bytes / 2] = value;
}
void check_mark(const Block& block) {
  if (block.bytes == 0) return;
  CHECK_EQ(block.begin[0], block.mark);
  CHECK_EQ(block.begin[block.bytes / 2], block.mark);
  CHECK_EQ(block.begin[block.bytes - 1], block.mark);
}

// What a program does that goes on when malloc says no.
class Program {
 public:
  void note(void* begin, size_t bytes) {
    if (begin == nullptr) {
      CHECK_EQ(errno, ENOMEM);
      ++refusals_;
      return;
    }
    blocks_.push_back({static_cast<char*>(begin), bytes, 0});
    mark(blocks_.back(), static_cast<char>(blocks_.size()));
  }
  void resize(size_t index, size_t bytes) {
    Block& block = blocks_[index];
    check_mark(block);
    const char first = block.bytes == 0 ? 0 : block.begin[0];
    void* moved = reallocate(block.begin, bytes);
    if (moved == nullptr) {
      ++refusals_;
      return check_mark(block);
    }
    block = {static_cast<char*>(moved), bytes, block.mark};
    if (bytes != 0 && first != 0) CHECK_EQ(block.begin[0], first);
    mark(block, block.mark);
  }
  void free(size_t index) {
    check_mark(blocks_[index]);
    deallocate(blocks_[index].begin);
    blocks_[index] = blocks_.back();
    blocks_.pop_back();
  }
  void free_all() {
    while (!blocks_.empty()) free(0);
    CHECK_EQ(MallocEngine::stats().large_objects, 0u);
  }
  size_t size() const { return blocks_.size(); }
  unsigned refusals() const { return refusals_; }

 private:
  std::vector<Block> blocks_;
  unsigned refusals_ = 0;
};

void run_fixed_scenario(Program& program) {
  for (size_t bytes : {size_t{16}, size_t{1000}, 30 * kKiB, 200 * kKiB, kMiB, 5 * kMiB}) {
    program.note(allocate(bytes), bytes);
    program.note(allocate_zeroed(bytes, 1), bytes);
    program.note(allocate_aligned(64 * kKiB, bytes), bytes);
    MallocEngine::verify();
  }
  for (size_t i = 0; i < program.size(); i += 2) program.resize(i, (i + 1) * 700 * kKiB);
  MallocEngine::verify();
  for (size_t i = 0; i < program.size(); i += 3) program.free(i);
  release_everything();
  MallocEngine::verify();
  for (size_t i = 0; i < program.size(); ++i) program.resize(i, (i + 1) * 400 * kKiB);
  MallocEngine::verify();
}

CASE(SurvivesTheFailureOfEachCallToTheSystem) {
  // The first failures keep the engine from starting at all: a process for each.
  for (uint64_t failing = 1;; ++failing) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      MallocEngine engine;
      engine.os.fail_call(failing);
      Program program;
      run_fixed_scenario(program);
      const bool came_to_it = engine.os.fallible_calls() >= failing;
      engine.os.recover();
      program.free_all();
      release_everything();
      MallocEngine::verify();
      _exit(came_to_it ? 0 : 7);
    }
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 7) {
      CHECK_LT(10u, failing);
      return;
    }
    if (status != 0) dprintf(2, "with call %d failing\n", static_cast<int>(failing));
    CHECK_EQ(status, 0);
  }
}

CASE(AnEngineThatCannotStartRefusesEverything) {
  MallocEngine engine;
  engine.os.fail_every_call();
  for (int i = 0; i < 3; ++i) {
    errno = 0;
    CHECK(allocate(10) == nullptr);
    CHECK_EQ(errno, ENOMEM);
    CHECK(allocate(10 * kMiB) == nullptr);
    CHECK(allocate_zeroed(1, 1) == nullptr);
    CHECK(allocate_aligned(4096, 1) == nullptr);
    deallocate(nullptr);
    CHECK_EQ(release_everything(), 0u);
  }
}

CASE(SurvivesRandomFailures) {
  MallocEngine engine;
  Random random(seed_of_this_run());
  Program program;
  for (int i = 0; i < 4000; ++i) {
    if (random.one_in(20)) engine.os.fail_call(random.between(1, 3));
    const size_t bytes = random.one_in(10)  ? random.between(1, 8 * kMiB)
                         : random.one_in(3) ? random.between(1, 400 * kKiB)
                                            : random.between(0, 2000);
    errno = 0;
    const uint32_t choice = program.size() > 200 ? 9 : random.below(10);
    if (choice < 3 || program.size() == 0) {
      program.note(allocate(bytes), bytes);
    } else if (choice == 3) {
      program.note(allocate_zeroed(1, bytes), bytes);
    } else if (choice == 4) {
      program.note(allocate_aligned(size_t{1} << random.between(4, 21), bytes), bytes);
    } else {
      const size_t index = random.below(static_cast<uint32_t>(program.size()));
      if (choice < 7 && bytes != 0) {
        program.resize(index, bytes);
      } else {
        program.free(index);
      }
    }
    if (random.one_in(200)) release_everything();
    if (random.one_in(10)) MallocEngine::verify();
  }
  engine.os.recover();
  program.free_all();
  release_everything();
  MallocEngine::verify();
  CHECK_EQ(g_tiers.page_heap.counters().large_in_use, 0u);
  CHECK_EQ(g_tiers.page_heap.counters().small_in_use, 0u);
}

CASE(AtTheHardLimitNothingIsLost) {
  MallocEngine engine;
  g_settings.limit = 20 * kMiB;
  Random random(seed_of_this_run());
  Program program;
  for (int i = 0; i < 3000; ++i) {
    const size_t bytes = random.one_in(5) ? random.between(1, 4 * kMiB) : random.between(1, 4000);
    errno = 0;
    if (program.size() < 10 || random.one_in(2)) {
      program.note(allocate(bytes), bytes);
    } else if (random.one_in(3)) {
      program.resize(random.below(static_cast<uint32_t>(program.size())), bytes);
    } else {
      program.free(random.below(static_cast<uint32_t>(program.size())));
    }
    CHECK_LE(bytes_of(g_tiers.page_heap.resident_pages()), 20 * kMiB);
    if (random.one_in(20)) MallocEngine::verify();
  }
  CHECK(program.refusals() != 0);
  CHECK(g_tiers.page_heap.counters().pressure_events != 0);
  program.free_all();
  MallocEngine::verify();
}

}  // namespace
}  // namespace tri::testing
