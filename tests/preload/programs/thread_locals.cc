// C++ objects whose constructors and destructors run at the edges of a thread's or process's life.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cases.h"
#include "residency.h"

namespace {

// Frees what it holds, and allocates while it does: more than once around the thread's own end.
struct Holder {
  std::vector<std::string> words;
  Holder() { fill(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() {
    words.clear();
    fill();
    for (const auto& word : words) CHECK(word.size() == 300);
  }
  void fill() {
    for (int i = 0; i < 50; i++) words.emplace_back(300, 'w');
  }
};

thread_local Holder of_thread;
thread_local std::unique_ptr<int[]> plain;
Holder of_process;

void use_thread_locals() {
  plain.reset(OPAQUE(new int[100]));
  CHECK(of_thread.words.size() >= 50);
}

void run_threads(int count) {
  for (int i = 0; i < count; i++) std::thread(use_thread_locals).join();
}

}  // namespace

CASE(thread_local_destructors_may_allocate) {
  run_threads(500);
  const size_t early = resident_bytes();
  run_threads(5000);
  CHECK(resident_bytes() < early + (8 << 20));
}

// main's own thread_locals, then static objects, are destroyed after main returned.
CASE(main_thread_and_static_destructors_may_allocate) {
  use_thread_locals();
  CHECK(of_process.words.size() >= 50);
}

CASE(exit_from_another_thread) {
  std::thread([] {
    use_thread_locals();
    exit(0);
  }).join();
}
