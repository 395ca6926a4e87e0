// Tries of a collected heap against an ordered map of the standard library: after each step of a
// random program they hold the same, in the same order, collections and freezing in between.
#include "engine/frontends/collected/containers/trie.h"

#include <cstring>
#include <map>
#include <string>

#include "tests/engine/support/collected.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

using collected::Key;
using collected::Trie;
using collected::Value;
using collected::ValueKind;

struct Path {
  std::string text;
  void append(const char* from, size_t length) { text.append(from, length); }
  void truncate(size_t length) { text.resize(length); }
  size_t length() const { return text.size(); }
};

struct Model {
  Model(uint64_t seed, ValueKind given)
      : random(seed), kind(given), type(f.heap->add_type(collected::kTrieLayout)) {
    Access access(*f.heap);
    record = f.heap->allocate(access, *type);
    CHECK(f.heap->add_root(access, record) != collected::kNoRoot);
  }

  // Few letters in front, so that keys share prefixes; many at times, for nodes with many children.
  std::string some_key() {
    std::string key;
    for (uint32_t parts = random.below(6); parts != 0; --parts) {
      if (random.one_in(8)) key.append(random.below(30), 'x');
      if (random.one_in(6)) key.push_back(static_cast<char>(random.below(256)));
      key.push_back(static_cast<char>('a' + random.below(3)));
    }
    return key;
  }
  static Key key_in(const Trie& trie, const std::string& text) {
    return trie.key_of(text.data(), static_cast<uint32_t>(text.size()));
  }

  void put(Trie& trie, const std::string& text, uint64_t number) {
    Value value;
    value.word = number;
    value.data = reinterpret_cast<const char*>(&number);
    value.length = sizeof number;
    bool inserted = false;
    CHECK(trie.put(key_in(trie, text), value, &inserted) != Trie::kNoSlot);
    CHECK_EQ(inserted, expected.count(text) == 0);
    expected[text] = number;
  }

  uint64_t value_at(const Trie& trie, uint32_t node) const {
    if (kind == ValueKind::kScalar) return trie.scalar_at(node);
    CHECK(f.heap->is_live(trie.reference_at(node)));
    uint64_t number;
    std::memcpy(&number, f.heap->address_of(trie.reference_at(node)) + 8, sizeof number);
    return number;
  }

  void step() {
    Access access(*f.heap);
    Trie trie(*f.heap, access, record, kind);
    const std::string text = some_key();
    const uint32_t choice = random.below(1000);
    if (choice < 600) {
      put(trie, text, random.next());
    } else if (choice < 980) {
      CHECK_EQ(trie.erase_key(key_in(trie, text)), expected.erase(text) == 1);
    } else if (choice < 983) {
      trie.clear();
      expected.clear();
    } else if (choice < 990) {
      CHECK(trie.shrink());
    } else {
      f.heap->collect(access);
    }
  }

  void compare_prefix(const Trie& trie, const std::string& text) {
    uint32_t length;
    const uint32_t node = trie.longest_prefix(key_in(trie, text), &length);
    for (size_t most = text.size() + 1; most-- > 0;) {
      const auto found = expected.find(text.substr(0, most));
      if (found == expected.end()) continue;
      CHECK_EQ(length, most);
      CHECK_EQ(value_at(trie, node), found->second);
      return;
    }
    CHECK_EQ(node, Trie::kNoSlot);
  }

  void compare() {
    Access access(*f.heap);
    Trie trie(*f.heap, access, record, kind);
    trie.verify();
    CHECK_EQ(trie.size(), expected.size());
    Path path;
    uint32_t node = trie.next(trie.key_of("", 0), true, path);
    for (const auto& [text, number] : expected) {
      CHECK(node != Trie::kNoSlot);
      CHECK(path.text == text);
      CHECK_EQ(value_at(trie, node), number);
      CHECK_EQ(trie.find(key_in(trie, text)), node);
      Path after;
      node = trie.next(key_in(trie, text), false, after);
      path = after;
    }
    CHECK_EQ(node, Trie::kNoSlot);
    for (int i = 0; i < 50; ++i) {
      const std::string text = some_key();
      compare_prefix(trie, text);
      const auto next = expected.upper_bound(text);
      const bool any = trie.next(key_in(trie, text), false, path) != Trie::kNoSlot;
      CHECK_EQ(any, next != expected.end());
      if (any) CHECK(path.text == next->first);
    }
  }

  SmallCollected f;
  Random random;
  const ValueKind kind;
  const RecordType* type;
  Reference record = kNone;
  std::map<std::string, uint64_t> expected;
};

void run(ValueKind kind) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    Model model(seed, kind);
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

CASE(numbers) { run(ValueKind::kScalar); }
CASE(strings) { run(ValueKind::kBytes); }

}  // namespace
}  // namespace tri::testing
