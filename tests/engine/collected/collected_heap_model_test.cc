// A collected heap against a graph of plain objects: after each step of a random program, what the
// model says is reachable is in the heap with the same contents, and after a collection nothing
// else is. Weak references lead to their record as long as it is reachable, and to nothing once it
// is not; a record that is got back through one has kept all it leads to. Of some types, what was
// reclaimed is told, each record once.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "tests/engine/support/collected.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

// Shapes whose reclaimed records are told; both have a value.
constexpr unsigned kWatched[] = {1, 3};

struct Model {
  struct Shape {
    const RecordType* type;
    uint16_t references;
    uint32_t bytes;
  };
  struct Record {
    unsigned shape;
    std::vector<Reference> references;
    uint64_t value;  // of no other record
  };
  struct Weak {
    WeakId id;
    Reference record;
    uint64_t value;
  };

  explicit Model(uint64_t seed, const HeapOptions& options = small_heap())
      : random(seed), f(options) {
    for (const auto& [bytes, references] : {std::pair<uint32_t, uint16_t>{16, 2},
                                            {16, 0},
                                            {24, 4},
                                            {48, 1},
                                            {112, 20},
                                            {600, 3},
                                            {9000, 2}}) {
      const uint32_t whole = std::max<uint32_t>(bytes, references * sizeof(Reference));
      shapes.push_back({f.heap->add_type(layout_of(whole, references)), references, whole});
    }
    shapes.push_back({nullptr, 0, 0});  // arrays of references
    for (const unsigned shape : kWatched) {
      CHECK(f.heap->watch_reclaims(*shapes[shape].type, true));
    }
  }

  Reference* slots_of(Reference record) {
    char* memory = f.heap->address_of(record);
    return reinterpret_cast<Reference*>(memory +
                                        (records.at(record).shape + 1 == shapes.size() ? 8 : 0));
  }
  // Its last 8 bytes; arrays have none.
  uint64_t* value_of(Reference record) {
    const Shape& shape = shapes[records.at(record).shape];
    if (shape.bytes < shape.references * sizeof(Reference) + 8) return nullptr;
    return reinterpret_cast<uint64_t*>(f.heap->address_of(record) + shape.bytes - 8);
  }

  Reference any_record() {
    if (roots.empty()) return kNone;
    auto root = roots.begin();
    std::advance(root, random.below(static_cast<uint32_t>(roots.size())));
    Reference at = root->second;
    for (unsigned steps = random.below(6); steps != 0; --steps) {
      const auto& references = records.at(at).references;
      if (references.empty()) break;
      const Reference next = references[random.below(static_cast<uint32_t>(references.size()))];
      if (next == kNone) break;
      at = next;
    }
    return at;
  }

  void make() {
    Access access(*f.heap);
    const auto shape = random.below(static_cast<uint32_t>(shapes.size()));
    Reference record;
    uint32_t references = shapes[shape].references;
    if (shapes[shape].type != nullptr) {
      record = f.heap->allocate(access, *shapes[shape].type);
    } else {
      references = random.one_in(50) ? random.below(20000) : random.below(40);
      record = f.heap->allocate_array(access, true, references, sizeof(Reference), 0);
    }
    CHECK(record != kNone);
    records[record] = {shape, std::vector<Reference>(references, kNone), ++last_value};
    ++made[shape];
    for (uint32_t i = 0; i < references; ++i) CHECK_EQ(slots_of(record)[i], kNone);
    if (uint64_t* value = value_of(record)) *value = records[record].value;
    roots[f.heap->add_root(access, record)] = record;
  }
  void link() {
    Access access(*f.heap);
    const Reference from = any_record();
    if (from == kNone || records.at(from).references.empty()) return;
    const Reference to = random.one_in(5) ? kNone : any_record();
    auto& references = records.at(from).references;
    const uint32_t i = random.below(static_cast<uint32_t>(references.size()));
    references[i] = to;
    f.heap->store(access, slots_of(from) + i, to);
  }
  void drop() {
    if (roots.empty()) return;
    Access access(*f.heap);
    auto root = roots.begin();
    std::advance(root, random.below(static_cast<uint32_t>(roots.size())));
    f.heap->remove_root(access, root->first);
    roots.erase(root);
  }

  void watch() {
    Access access(*f.heap);
    const Reference record = any_record();
    if (record == kNone) return;
    weak.push_back({f.heap->add_weak(access, record), record, records.at(record).value});
    CHECK(weak.back().id != kNoWeak);
  }
  // What a weak reference leads to now; kNone when it is gone.
  Reference follow(Access& access, const Weak& one) {
    const Reference record = f.heap->load_weak(access, one.id);
    if (record == kNone) return kNone;
    CHECK_EQ(record, one.record);
    CHECK_EQ(records.at(record).value, one.value);
    return record;
  }
  void get_back() {
    if (weak.empty()) return;
    Access access(*f.heap);
    const uint32_t i = random.below(static_cast<uint32_t>(weak.size()));
    const Reference record = follow(access, weak[i]);
    if (record != kNone && random.one_in(3)) roots[f.heap->add_root(access, record)] = record;
    if (random.one_in(2)) return;
    f.heap->remove_weak(access, weak[i].id);
    weak.erase(weak.begin() + i);
  }
  void take_reclaimed(const std::set<Reference>& live) {
    for (const unsigned shape : kWatched) {
      std::vector<char> copy(shapes[shape].bytes);
      Access access(*f.heap);
      while (f.heap->take_reclaimed(access, *shapes[shape].type, copy.data())) {
        uint64_t value;
        std::memcpy(&value, copy.data() + copy.size() - 8, 8);
        CHECK(reclaimed.insert(value).second);
        --made[shape];
      }
    }
    for (const Reference record : live) CHECK(!reclaimed.contains(records.at(record).value));
  }

  std::set<Reference> reachable() const {
    std::set<Reference> found;
    std::vector<Reference> queue;
    for (const auto& [root, record] : roots) queue.push_back(record);
    while (!queue.empty()) {
      const Reference record = queue.back();
      queue.pop_back();
      if (record == kNone || !found.insert(record).second) continue;
      for (const Reference next : records.at(record).references) queue.push_back(next);
    }
    return found;
  }

  void compare(const std::set<Reference>& expected) {
    for (const Reference record : expected) {
      CHECK(f.heap->is_live(record));
      const Record& model = records.at(record);
      for (size_t i = 0; i < model.references.size(); ++i) {
        CHECK_EQ(slots_of(record)[i], model.references[i]);
      }
      if (const uint64_t* value = value_of(record)) CHECK_EQ(*value, model.value);
    }
  }

  void collect() {
    f.heap->collect();
    f.heap->verify();
    const std::set<Reference> expected = reachable();
    compare(expected);
    CHECK_EQ(f.live_records(), expected.size());
    take_reclaimed(expected);
    CHECK_EQ(f.heap->reclaimed_count(), 0u);
    for (const unsigned shape : kWatched) {
      CHECK_EQ(made[shape], std::count_if(expected.begin(), expected.end(), [&](Reference record) {
                 return records.at(record).shape == shape;
               }));
    }
    {
      Access access(*f.heap);
      for (const Weak& one : weak) {
        const bool lives =
            expected.contains(one.record) && records.at(one.record).value == one.value;
        CHECK_EQ(follow(access, one), lives ? one.record : kNone);
      }
    }
    std::erase_if(records, [&](const auto& entry) { return !expected.contains(entry.first); });
  }

  void step() {
    const uint32_t what = random.below(100);
    if (what < 40) {
      make();
    } else if (what < 70) {
      link();
    } else if (what < 76) {
      watch();
    } else if (what < 80) {
      get_back();
    } else if (what < 98 || roots.size() < 50) {
      if (roots.size() > 30) drop();
    } else {
      collect();
    }
  }

  Random random;
  SmallCollected f;
  std::vector<Shape> shapes;
  std::map<Reference, Record> records;
  std::map<RootId, Reference> roots;
  std::vector<Weak> weak;
  std::map<unsigned, int64_t> made;  // of each shape, less those that are told to be gone
  std::set<uint64_t> reclaimed;      // their values
  uint64_t last_value = 0;
};

CASE(KeepsExactlyWhatTheModelReaches) {
  Model model(seed_of_this_run());
  for (int i = 0; i < 30000; ++i) model.step();
  while (!model.roots.empty()) model.drop();
  model.collect();
  CHECK_EQ(model.f.heap->space().page_heap.counters().small_in_use, 0u);
}

CASE(KeepsWhatTheModelReachesWithACycleAtEveryRun) {
  Model model(seed_of_this_run());
  model.f.heap->set_collect_always(true);
  for (int i = 0; i < 4000; ++i) {
    model.step();
    if (i % 100 == 0) model.compare(model.reachable());
  }
  model.f.heap->set_collect_always(false);
  model.collect();
}

CASE(KeepsExactlyWhatTheModelReachesWithSeveralMarkers) {
  HeapOptions options = small_heap();
  options.markers = 4;
  Model model(seed_of_this_run(), options);
  for (int i = 0; i < 10000; ++i) model.step();
  model.collect();
  CHECK_EQ(model.f.heap->counters().markers, 4u);
}

CASE(KeepsWhatTheModelReachesBesideACollectorThread) {
  HeapOptions options = small_heap();
  options.concurrent = true;
  options.gc_percent = 5;
  Model model(seed_of_this_run(), options);
  for (int i = 0; i < 30000; ++i) {
    model.step();
    if (i % 1000 == 0) {
      model.compare(model.reachable());
      model.take_reclaimed(model.reachable());
    }
  }
  model.collect();
}

}  // namespace
}  // namespace tri::testing
