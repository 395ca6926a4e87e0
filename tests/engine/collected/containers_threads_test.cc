// Threads that use one map and one queue of a collected heap while it is collected.
#include <atomic>
#include <thread>
#include <vector>

#include "engine/frontends/collected/containers/hash_table.h"
#include "engine/frontends/collected/containers/priority_queue.h"
#include "tests/engine/support/collected.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::HashTable;
using collected::PriorityQueue;
using collected::Value;
using collected::ValueKind;

constexpr unsigned kThreads = 3;
constexpr uint64_t kEach = 4000;

HeapOptions shared_heap() {
  HeapOptions options = small_heap();
  options.processors = kThreads;
  options.concurrent = true;
  return options;
}

Reference make_root(SmallCollected& f, const collected::Layout& layout) {
  const RecordType* type = f.heap->add_type(layout);
  Access access(*f.heap);
  const Reference record = f.heap->allocate(access, *type);
  CHECK(f.heap->add_root(access, record) != collected::kNoRoot);
  return record;
}

// Runs `work(thread)` on several threads, and collections beside them.
template <typename Work>
void run_beside_collections(SmallCollected& f, Work work) {
  std::atomic<unsigned> left{kThreads};
  std::vector<std::thread> threads;
  for (unsigned number = 0; number < kThreads; ++number) {
    threads.emplace_back([&, number] {
      work(number);
      --left;
    });
  }
  while (left != 0) f.heap->collect();
  for (std::thread& thread : threads) thread.join();
  f.heap->collect();
  f.heap->verify();
}

CASE(a_map_of_records) {
  SmallCollected f(shared_heap());
  const Reference record = make_root(f, collected::kTableLayout);
  constexpr collected::TableShape kShape = {false, ValueKind::kRecord, false};
  run_beside_collections(f, [&](unsigned thread) {
    for (uint64_t i = 0; i < kEach; ++i) {
      const uint64_t number = i * kThreads + thread;
      const platform::Guard lock(f.heap->container_locks().of(record));
      Access access(*f.heap);
      HashTable table(*f.heap, access, record, kShape);
      CHECK(table.reserve(0, 0));
      Value value;
      value.word = f.make(access, static_cast<int64_t>(number));
      // Until it is stored nothing keeps it: room first.
      const RootId root = f.heap->add_root(access, static_cast<Reference>(value.word));
      bool inserted = false;
      CHECK(table.put(table.key_of(number), value, &inserted) != HashTable::kNoSlot);
      f.heap->remove_root(access, root);
      if (i % 3 == 0) CHECK(table.erase_key(table.key_of(number)));
    }
  });
  Access access(*f.heap);
  HashTable table(*f.heap, access, record, kShape);
  table.verify();
  for (uint64_t number = 0; number < kEach * kThreads; ++number) {
    const uint32_t slot = table.find(table.key_of(number));
    CHECK_EQ(slot == HashTable::kNoSlot, number / kThreads % 3 == 0);
    if (slot == HashTable::kNoSlot) continue;
    CHECK(f.heap->is_live(table.reference_at(slot)));
    CHECK_EQ(f.at(table.reference_at(slot)).value, static_cast<int64_t>(number));
  }
}

CASE(a_queue_of_strings) {
  SmallCollected f(shared_heap());
  const Reference record = make_root(f, collected::kQueueLayout);
  std::atomic<uint64_t> sum{0};
  run_beside_collections(f, [&](unsigned thread) {
    for (uint64_t i = 1; i <= kEach; ++i) {
      const platform::Guard lock(f.heap->container_locks().of(record));
      Access access(*f.heap);
      PriorityQueue queue(*f.heap, access, record, ValueKind::kBytes);
      const Value value = {0, reinterpret_cast<const char*>(&i), sizeof i};
      CHECK(
          queue.push(collected::order_of(static_cast<int64_t>((i * 7919 + thread) % 997)), value));
      if (i % 2 != 0) continue;
      CHECK(f.heap->is_live(queue.first_reference()));
      uint64_t number;
      std::memcpy(&number, f.heap->address_of(queue.first_reference()) + 8, sizeof number);
      sum += number;
      queue.pop();
    }
  });
  Access access(*f.heap);
  PriorityQueue queue(*f.heap, access, record, ValueKind::kBytes);
  for (; queue.size() != 0; queue.pop()) {
    uint64_t number;
    std::memcpy(&number, f.heap->address_of(queue.first_reference()) + 8, sizeof number);
    sum += number;
  }
  CHECK_EQ(sum.load(), kThreads * kEach * (kEach + 1) / 2);
}

}  // namespace
}  // namespace tri::testing
