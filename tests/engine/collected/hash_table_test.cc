// Hash tables of a collected heap against a map of the standard library: after each step of a
// random program they hold the same, collections and freezing in between.
#include "engine/frontends/collected/containers/hash_table.h"

#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/engine/support/collected.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::HashTable;
using collected::Key;
using collected::TableShape;
using collected::Value;
using collected::ValueKind;

struct Model {
  Model(uint64_t seed, TableShape given)
      : random(seed), shape(given), type(f.heap->add_type(collected::kTableLayout)) {
    Access access(*f.heap);
    record = f.heap->allocate(access, *type);
    root = f.heap->add_root(access, record);
  }

  // Short keys come again; long ones fill the log.
  std::string some_key() {
    const auto number = static_cast<uint64_t>(random.below(400));
    if (!shape.byte_keys) return {reinterpret_cast<const char*>(&number), sizeof number};
    return std::string(number % 7 == 0 ? 5 * number : 0, 'x') + std::to_string(number);
  }
  Key key_in(const HashTable& table, const std::string& text) const {
    if (shape.byte_keys) return table.key_of(text.data(), static_cast<uint32_t>(text.size()));
    uint64_t number;
    std::memcpy(&number, text.data(), sizeof number);
    return table.key_of(number);
  }

  void put(Access& access, HashTable& table, const std::string& text, uint64_t number) {
    Value value;
    value.word = number;
    if (shape.values == ValueKind::kRecord) {
      value.word = f.make(access, static_cast<int64_t>(number));
      f.heap->set_root(access, f.heap->roots().slot(spare_root),
                       static_cast<Reference>(value.word));
    } else if (shape.values == ValueKind::kBytes) {
      value.data = reinterpret_cast<const char*>(&number);
      value.length = sizeof number;
    }
    CHECK(table.reserve(0, 0));
    bool inserted = false;
    CHECK(table.put(key_in(table, text), value, &inserted) != HashTable::kNoSlot);
    CHECK_EQ(inserted, expected.count(text) == 0);
    expected[text] = number;
  }

  uint64_t value_at(const HashTable& table, uint32_t slot) const {
    if (shape.values == ValueKind::kScalar) return table.scalar_at(slot);
    const Reference reference = table.reference_at(slot);
    CHECK(f.heap->is_live(reference));
    uint64_t number;
    std::memcpy(&number,
                f.heap->address_of(reference) + (shape.values == ValueKind::kRecord
                                                     ? offsetof(Node, value)
                                                     : sizeof(collected::ArrayHeader)),
                sizeof number);
    return number;
  }

  void step() {
    Access access(*f.heap);
    HashTable table(*f.heap, access, record, shape);
    const std::string text = some_key();
    const uint64_t choice = random.below(100);
    if (choice < 60) {
      put(access, table, text, random.below(1u << 30));
    } else if (choice < 90) {
      const uint32_t slot = table.find(key_in(table, text));
      CHECK_EQ(slot != HashTable::kNoSlot, expected.erase(text) == 1);
      if (slot != HashTable::kNoSlot) table.erase(slot);
    } else if (choice == 90) {
      table.clear();
      expected.clear();
    } else if (choice == 91) {
      CHECK(table.shrink());
    } else if (choice < 94) {
      f.heap->collect(access);
    }
  }

  void compare() {
    Access access(*f.heap);
    HashTable table(*f.heap, access, record, shape);
    table.verify();
    CHECK_EQ(table.size(), expected.size());
    for (const auto& [text, number] : expected) {
      const uint32_t slot = table.find(key_in(table, text));
      CHECK(slot != HashTable::kNoSlot);
      CHECK_EQ(value_at(table, slot), number);
    }
  }

  SmallCollected f;
  Random random;
  const TableShape shape;
  const RecordType* type;
  Reference record = kNone;
  RootId root = 0;
  RootId spare_root = [this] {
    Access access(*f.heap);
    return f.heap->add_root(access, kNone);
  }();
  std::unordered_map<std::string, uint64_t> expected;
};

void run(TableShape shape) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Model model(seed, shape);
    for (int i = 0; i < 3000; ++i) {
      model.step();
      if (i == 1500) CHECK(model.f.heap->freeze());
      if (i % 100 == 0) model.compare();
    }
    model.f.heap->collect();
    model.compare();
    model.f.heap->verify();
  }
}

CASE(numbers_to_numbers) { run({false, ValueKind::kScalar, false}); }
CASE(numbers_to_records) { run({false, ValueKind::kRecord, false}); }
CASE(bytes_to_bytes) { run({true, ValueKind::kBytes, false}); }
CASE(bytes_to_records_in_order_of_use) { run({true, ValueKind::kRecord, true}); }
CASE(numbers_in_order_of_use) { run({false, ValueKind::kScalar, true}); }

CASE(no_memory_leaves_the_table_as_it_was) {
  HeapOptions options = small_heap();
  options.limit_bytes = 4 * tunable::kMiB;
  SmallCollected f(options);
  const RecordType* type = f.heap->add_type(collected::kTableLayout);
  Access access(*f.heap);
  const Reference record = f.heap->allocate(access, *type);
  CHECK(f.heap->add_root(access, record) != collected::kNoRoot);
  HashTable table(*f.heap, access, record, {});
  CHECK(!table.reserve(1u << 24, 0));
  CHECK(table.reserve(1, 0));
  uint64_t count = 0;
  for (bool inserted = true;; ++count) {
    Value value;
    value.word = count;
    if (table.put(table.key_of(count), value, &inserted) == HashTable::kNoSlot) break;
  }
  CHECK(count > 10000);
  table.verify();
  for (uint64_t i = 0; i < count; ++i) CHECK_EQ(table.scalar_at(table.find(table.key_of(i))), i);
}

}  // namespace
}  // namespace tri::testing
