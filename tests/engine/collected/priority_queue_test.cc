// Priority queues and growable lists of a collected heap against the standard library's,
// collections and freezing in between.
#include "engine/frontends/collected/containers/priority_queue.h"

#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "engine/frontends/collected/containers/growable_list.h"
#include "tests/engine/support/collected.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::GrowableList;
using collected::order_of;
using collected::PriorityQueue;
using collected::Value;
using collected::ValueKind;

// A container's record, which is a root.
struct Container {
  explicit Container(const collected::Layout& layout) : type(f.heap->add_type(layout)) {
    Access access(*f.heap);
    record = f.heap->allocate(access, *type);
    CHECK(f.heap->add_root(access, record) != collected::kNoRoot);
  }
  // The number that a value was made of.
  uint64_t number_of(Reference reference) const {
    CHECK(f.heap->is_live(reference));
    uint64_t number;
    std::memcpy(&number, f.heap->address_of(reference) + 8, sizeof number);
    return number;
  }
  static Value value_of(const uint64_t* number) {
    return {*number, reinterpret_cast<const char*>(number), sizeof *number};
  }

  SmallCollected f;
  const RecordType* type;
  Reference record = kNone;
};

void run_queue(ValueKind kind) {
  Container c(collected::kQueueLayout);
  Random random(1);
  std::multiset<int64_t> expected;
  std::map<uint64_t, int64_t> priority_of;
  for (uint64_t step = 0; step < 6000; ++step) {
    Access access(*c.f.heap);
    PriorityQueue queue(*c.f.heap, access, c.record, kind);
    CHECK_EQ(queue.size(), expected.size());
    const uint32_t choice = random.below(100);
    if (choice < 55) {
      const int64_t priority = static_cast<int64_t>(random.below(200)) - 100;
      CHECK(queue.push(order_of(priority), Container::value_of(&step)));
      expected.insert(priority);
      priority_of[step] = priority;
    } else if (choice < 95 && !expected.empty()) {
      CHECK_EQ(collected::integer_of(queue.first_order()), *expected.begin());
      const uint64_t number =
          kind == ValueKind::kScalar ? queue.first_scalar() : c.number_of(queue.first_reference());
      CHECK_EQ(priority_of.at(number), *expected.begin());
      expected.erase(expected.begin());
      queue.pop();
    } else if (choice == 95) {
      CHECK(queue.shrink());
    } else if (choice == 96 && random.one_in(4)) {
      queue.clear();
      expected.clear();
    } else if (choice == 97) {
      c.f.heap->collect(access);
    }
    queue.verify();
  }
}

CASE(a_queue_of_numbers) { run_queue(ValueKind::kScalar); }
CASE(a_queue_of_strings) { run_queue(ValueKind::kBytes); }

CASE(priorities_keep_their_order) {
  const double floats[] = {-1.0 / 0.0, -1e300, -1.5, -5e-324, 0.0, 5e-324, 1.0, 1e300, 1.0 / 0.0};
  for (size_t i = 1; i < std::size(floats); ++i) {
    CHECK(order_of(floats[i - 1]) < order_of(floats[i]));
    CHECK(collected::float_of(order_of(floats[i])) == floats[i]);
  }
  CHECK_EQ(order_of(-0.0), order_of(0.0));
  CHECK(order_of(INT64_MIN) < order_of(int64_t{-1}) && order_of(int64_t{0}) < order_of(INT64_MAX));
}

CASE(a_list_of_strings) {
  Container c(collected::kListLayout);
  Random random(2);
  std::vector<uint64_t> expected;
  for (uint64_t step = 0; step < 5000; ++step) {
    Access access(*c.f.heap);
    GrowableList list(*c.f.heap, access, c.record, ValueKind::kBytes);
    CHECK_EQ(list.size(), expected.size());
    const uint32_t choice = random.below(100);
    if (choice < 70) {
      CHECK(list.append(Container::value_of(&step)));
      expected.push_back(step);
    } else if (choice < 90 && !expected.empty()) {
      const uint32_t index = random.below(static_cast<uint32_t>(expected.size()));
      CHECK_EQ(c.number_of(list.reference_at(index)), expected[index]);
      CHECK(list.set(index, Container::value_of(&step)));
      expected[index] = step;
    } else if (choice < 95) {
      const auto size = static_cast<uint32_t>(expected.size());
      const uint32_t left = size - random.below(size / 8 + 1);
      list.truncate(left);
      expected.resize(left);
    } else if (choice == 95) {
      CHECK(list.shrink());
    } else if (choice == 96) {
      c.f.heap->collect(access);
    }
    if (step == 2500) {
      c.f.heap->collect(access);
    }
  }
  CHECK(c.f.heap->freeze());
  c.f.heap->verify();
}

}  // namespace
}  // namespace tri::testing
