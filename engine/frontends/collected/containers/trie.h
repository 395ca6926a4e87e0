// A trie over strings of bytes, its edges compressed (a radix tree): exact and longest-prefix
// search, and keys in order.
//
//   record ──► nodes   words of 32 bits, one node after another; a child is the number of a word
//          ──► values  a reference per value, when values are records or bytes
//          ──► log     labels of more than four bytes
//
//   a node:  head: number of children, room for them, whether there is a value
//            label: where in the log, or up to four bytes themselves | its length
//            value: the number, or where among the values
//            first bytes of the children, rising | the children
//
// Why nodes are no records: a record per node would take 16 bytes more, and a collection would have
// to follow every edge; so it sees three arrays.
//
// What a node leaves behind that grew, what was erased and what labels were, stays until the arrays
// are full and built anew: nodes are copied breadth first then, so that the upper levels lie
// together.
//
// The caller holds the container's lock, then a processor. `put` may build anew and may collect.
#pragma once

#include "engine/base/check.h"
#include "engine/frontends/collected/containers/key.h"
#include "engine/frontends/collected/containers/values.h"

namespace tri::collected {

struct TrieRecord {
  Reference nodes;
  Reference values;
  Reference log;
  uint32_t root;        // 0: none yet
  uint32_t count;       // keys
  uint32_t used;        // words
  uint32_t live;        // those of nodes that are in the trie
  uint32_t log_used;    // bytes
  uint32_t log_live;    // those that labels name
  uint32_t value_used;  // references
};
inline constexpr Layout kTrieLayout = {sizeof(TrieRecord), 1, {{0, 3}}};

class Trie {
 public:
  static constexpr uint32_t kNoSlot = UINT32_MAX;

  Trie(CollectedHeap& heap, Access& access, Reference record, ValueKind kind);

  uint32_t size() const { return record_->count; }
  Key key_of(const char* data, uint32_t length) const { return {0, data, length, 0}; }

  // The key's node, or kNoSlot.
  uint32_t find(const Key& key) const;
  // The node of the longest key that `key` begins with, and that key's length.
  uint32_t longest_prefix(const Key& key, uint32_t* length) const;
  // Makes the value the key's. Returns kNoSlot when there is no memory; then nothing has changed.
  uint32_t put(const Key& key, const Value& value, bool* inserted);
  // Needs no memory. False: there is no such key.
  bool erase_key(const Key& key);
  void clear();
  // The trie with no more room than it needs. False: no memory.
  bool shrink() { return rebuild({}, false); }

  uint64_t scalar_at(uint32_t node) const {
    uint64_t value;
    std::memcpy(&value, words_ + node + kValue, sizeof value);
    return value;
  }
  Reference reference_at(uint32_t node) const {
    return load_reference(values_ + words_[node + kValue]);
  }

  // The node of the least key that is greater than `after`, or, if `inclusive`, not less. The key
  // is left in `path`, which has append(data, length), truncate(length) and length().
  template <typename Path>
  uint32_t next(const Key& after, bool inclusive, Path& path) const;

  // Calls `found(i, node or kNoSlot, length)` for the longest prefix of each key, in any order.
  template <typename KeyAt, typename Found>
  void find_prefixes(size_t count, KeyAt key_at, Found found);
  // Calls `found(i, node or kNoSlot)` for each key, in any order.
  template <typename KeyAt, typename Found>
  void find_many(size_t count, KeyAt key_at, Found found) {
    find_prefixes(count, key_at, [&](size_t i, uint32_t node, uint32_t length) {
      found(i, node != kNoSlot && length == key_at(i).length ? node : kNoSlot);
    });
  }
  // Calls `use(i, key)`, which may insert, for each key, until it returns false.
  template <typename KeyAt, typename Use>
  void for_keys(size_t count, KeyAt key_at, Use use) {
    for (size_t i = 0; i < count; ++i) {
      if (i % kPollEntries == 0) heap_.poll(access_);
      if (!use(i, key_at(i))) return;
    }
  }

  // Stops the program when something does not fit together.
  void verify() const;

 private:
  // Words of a node.
  static constexpr uint32_t kHead = 0;
  static constexpr uint32_t kLabel = 1;
  static constexpr uint32_t kLength = 2;
  static constexpr uint32_t kValue = 3;
  static constexpr uint32_t kInPlace = 4;  // bytes of a label that need no log
  // Of the head: number of children; room, as a power of two; whether there is a value.
  static constexpr uint32_t kCountMask = 0x1ff;
  static constexpr uint32_t kRoomShift = 12;
  static constexpr uint32_t kHasValue = 1u << 31;

  // Searches that are under way together: while one waits for a node's memory, others go on.
  static constexpr unsigned kLanes = 16;
  struct Lane {
    size_t i = 0;
    Key key;
    uint32_t node = 0;
    uint32_t at = 0;  // bytes of the key that led to the node
    uint32_t found = kNoSlot;
    uint32_t length = 0;  // of the key at `found`
  };

  struct Text {
    const char* data;
    uint32_t length;
  };
  struct Place;
  struct Need {
    uint32_t words = 0;
    uint32_t bytes = 0;
    uint32_t values = 0;
  };

  uint32_t header_words() const { return is_reference(kind_) ? kValue + 1 : kValue + 2; }
  uint32_t child_count(uint32_t node) const { return words_[node] & kCountMask; }
  bool has_value(uint32_t node) const { return (words_[node] & kHasValue) != 0; }
  static uint32_t room_of(uint32_t head) {
    const uint32_t power = head >> kRoomShift & 0xf;
    return power == 0 ? 0 : 1u << power;
  }
  static uint32_t head_for(uint32_t children);
  uint32_t words_for(uint32_t head) const {
    const uint32_t room = room_of(head);
    return header_words() + (room + 3) / 4 + room;
  }
  uint8_t* bytes_of(uint32_t node) const {
    return reinterpret_cast<uint8_t*>(words_ + node + header_words());
  }
  uint32_t* children_of(uint32_t node) const {
    return words_ + node + header_words() + (room_of(words_[node]) + 3) / 4;
  }
  Text label_of(uint32_t node) const {
    const uint32_t length = words_[node + kLength];
    const char* const in_place = reinterpret_cast<const char*>(words_ + node + kLabel);
    return {length <= kInPlace ? in_place : log_ + words_[node + kLabel], length};
  }
  // The first child whose byte is not less, as an index; the number of children when there is none.
  uint32_t child_index(uint32_t node, uint8_t byte) const;
  // The child of that byte, or 0.
  uint32_t child(uint32_t node, uint8_t byte) const;

  void look_up();
  // One node of a search. False: it has ended.
  bool advance(Lane& lane) const;
  Place descend(const Key& key) const;
  Need need_for(const Place& place, const Key& key) const;
  bool has_room(const Need& need) const;
  bool rebuild(const Need& need, bool spare);
  uint32_t make_node(uint32_t head);
  void set_label(uint32_t node, Text text);
  void append_label(uint32_t node, Text text);
  void forget_label(uint32_t node);
  void forget_node(uint32_t node);
  void insert_child(uint32_t node, uint8_t byte, uint32_t child);
  void remove_child(uint32_t node, uint32_t index);
  void forget_way(uint32_t node);
  uint32_t split(const Place& place);
  uint32_t add_child(const Place& place, uint8_t byte, uint32_t child);
  void set_child(uint32_t parent, uint32_t index, uint32_t child);
  void merge(uint32_t parent, uint32_t index, uint32_t node);
  template <typename Path>
  uint32_t least(uint32_t node, Path& path) const;

  CollectedHeap& heap_;
  Access& access_;
  TrieRecord* record_;
  const ValueKind kind_;
  uint32_t* words_ = nullptr;
  Reference* values_ = nullptr;
  char* log_ = nullptr;
};

template <typename KeyAt, typename Found>
void Trie::find_prefixes(size_t count, KeyAt key_at, Found found) {
  Lane lanes[kLanes];
  unsigned busy = 0;
  size_t next = 0;
  for (;;) {
    for (; busy < kLanes && next < count; ++next) {
      if (next % kPollEntries == 0) heap_.poll(access_);
      lanes[busy++] = {next, key_at(next), record_->root, 0, kNoSlot, 0};
    }
    if (busy == 0) return;
    for (unsigned i = 0; i < busy;) {
      if (advance(lanes[i])) {
        ++i;
        continue;
      }
      found(lanes[i].i, lanes[i].found, lanes[i].length);
      lanes[i] = lanes[--busy];
    }
  }
}

template <typename Path>
uint32_t Trie::least(uint32_t node, Path& path) const {
  for (;; node = children_of(node)[0]) {
    const Text label = label_of(node);
    path.append(label.data, label.length);
    if (has_value(node)) return node;
    TRI_CHECK(child_count(node) != 0);
  }
}

template <typename Path>
uint32_t Trie::next(const Key& after, bool inclusive, Path& path) const {
  path.truncate(0);
  if (record_->count == 0) return kNoSlot;
  // The nearest branch to the right of the way, and how long the way is to it.
  uint32_t right = 0;
  size_t right_length = 0;
  uint32_t at = 0;
  for (uint32_t node = record_->root;;) {
    const Text label = label_of(node);
    const uint32_t left = after.length - at;
    const uint32_t both = label.length < left ? label.length : left;
    const int order = both == 0 ? 0 : std::memcmp(label.data, after.data + at, both);
    if (order < 0) break;
    if (order > 0 || both < label.length) return least(node, path);
    path.append(label.data, label.length);
    at += label.length;
    if (at == after.length) {
      if (inclusive && has_value(node)) return node;
      if (child_count(node) == 0) break;
      return least(children_of(node)[0], path);
    }
    const auto byte = static_cast<uint8_t>(after.data[at]);
    const uint32_t index = child_index(node, byte);
    if (index == child_count(node)) break;
    if (bytes_of(node)[index] != byte) return least(children_of(node)[index], path);
    if (index + 1 < child_count(node)) {
      right = children_of(node)[index + 1];
      right_length = path.length();
    }
    node = children_of(node)[index];
  }
  if (right == 0) return kNoSlot;
  path.truncate(right_length);
  return least(right, path);
}

}  // namespace tri::collected
