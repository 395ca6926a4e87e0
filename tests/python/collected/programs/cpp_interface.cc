// The header as C++ reads it, and as a C++ program may wrap it.
#include <cstdint>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cases.h"
#include "trimalloc/heap.h"

namespace {

class Access {
 public:
  explicit Access(trimalloc_heap* heap) { trimalloc_enter(heap, &access_); }
  ~Access() { trimalloc_leave(&access_); }
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;
  operator trimalloc_access*() { return &access_; }

 private:
  trimalloc_access access_;
};

struct Word {
  trimalloc_ref next;
  uint32_t letter;
};

struct Words {
  Words() : heap(trimalloc_heap_create(nullptr)) {
    const uint32_t references[] = {offsetof(Word, next)};
    type = trimalloc_type_create(heap, sizeof(Word), references, 1);
    if (type == 0) throw std::runtime_error("no heap");
  }
  ~Words() { trimalloc_heap_destroy(heap); }
  static Word& at(trimalloc_access* access, trimalloc_ref record) {
    return *static_cast<Word*>(trimalloc_at(access, record));
  }

  trimalloc_heap* heap;
  trimalloc_type type;
};

CASE(threads_of_a_cpp_program_build_and_read_lists) {
  Words words;
  std::vector<std::thread> threads;
  for (uint32_t letter = 1; letter <= 4; ++letter) {
    threads.emplace_back([&words, letter] {
      Access access(words.heap);
      const trimalloc_root root = trimalloc_root_add(access, 0);
      for (int i = 0; i < 100000; ++i) {
        const trimalloc_ref word = trimalloc_new(access, words.type);
        Words::at(access, word).letter = letter;
        if (i % 10 != 0) continue;
        trimalloc_store(access, &Words::at(access, word).next, trimalloc_root_get(access, root));
        trimalloc_root_set(access, root, word);
      }
      int length = 0;
      for (trimalloc_ref at = trimalloc_root_get(access, root); at != 0; ++length) {
        CHECK(Words::at(access, at).letter == letter);
        at = trimalloc_load(&Words::at(access, at).next);
      }
      CHECK(length == 10000);
      trimalloc_root_remove(access, root);
    });
  }
  for (std::thread& thread : threads) thread.join();
  {
    Access access(words.heap);
    trimalloc_collect(access);
  }
  trimalloc_heap_verify(words.heap);
  trimalloc_heap_stats stats{};
  stats.struct_size = sizeof stats;
  CHECK(trimalloc_heap_get_stats(words.heap, &stats) == 0);
  CHECK(stats.heap == 0);
}

}  // namespace
