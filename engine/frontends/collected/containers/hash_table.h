// The hash table behind maps and LRU maps: keys are numbers of 64 bits or strings of bytes.
//
//   record ──► table   controls: a byte per slot | slots: key, value, links
//          ──► values  a reference per slot, when values are records or bytes
//          ──► log     the bytes of keys, one key after another, each behind its length
//
// Open addressing by groups of eight slots, as in Swiss tables: a control byte says that its slot
// is empty, that its entry was erased, or seven bits of its key's hash; a group is searched in one
// word. A search begins at the group that the hash names and goes from group to group until one has
// an empty slot. Groups are any number, not a power of two: hash times groups, shifted, names one.
//
// Why the bytes of keys lie in one log: an array of its own costs a key 12 to 27 bytes more. What
// an erased key leaves there goes when the table is built anew, which a full log, a full table, or
// one that is full of erased entries brings about.
//
// In an LRU map slots are linked in the order of their last use. What the zeroed record says is an
// empty table.
//
// The caller holds the container's lock, then a processor. Pointers here are good until the table
// is built anew: all functions that insert may do so, and may collect.
#pragma once

#include <bit>

#include "engine/frontends/collected/containers/hashing.h"
#include "engine/frontends/collected/containers/key.h"
#include "engine/frontends/collected/containers/values.h"

namespace tri::collected {

struct TableRecord {
  Reference table;
  Reference values;
  Reference log;
  uint32_t groups;
  uint32_t count;
  uint32_t erased;
  uint32_t log_used;
  uint32_t log_live;
  // Of linked slots, 1 more than the slot's number; 0: none. Unlinked: where any() looks next.
  uint32_t oldest;
  uint32_t newest;
  uint32_t limit;  // of entries of an LRU map; 0: none
  uint32_t reserved;
  uint64_t seed;  // 0 until there is a table
};
inline constexpr Layout kTableLayout = {sizeof(TableRecord), 1, {{0, 3}}};
static_assert(offsetof(TableRecord, log) == 2 * sizeof(Reference));

struct TableShape {
  bool byte_keys = false;
  ValueKind values = ValueKind::kScalar;
  bool linked = false;
};

class HashTable {
 public:
  static constexpr uint32_t kNoSlot = UINT32_MAX;
  static constexpr unsigned kGroupSlots = 8;

  HashTable(CollectedHeap& heap, Access& access, Reference record, TableShape shape);

  uint32_t size() const { return record_->count; }
  uint32_t limit() const { return record_->limit; }
  void set_limit(uint32_t limit) { record_->limit = limit; }
  const TableShape& shape() const { return shape_; }

  Key key_of(uint64_t number) const {
    return {number, nullptr, 0, hash_number(number, record_->seed)};
  }
  Key key_of(const char* data, uint32_t length) const {
    return {0, data, length, hash_bytes(data, length, record_->seed)};
  }

  // The key's slot, or kNoSlot.
  uint32_t find(const Key& key) const;
  // Makes the value the key's. Returns its slot, or kNoSlot when there is no memory; then the table
  // is as it was. `*inserted`: the key is new. Call `reserve` before making keys.
  uint32_t put(const Key& key, const Value& value, bool* inserted);
  void erase(uint32_t slot);
  bool erase_key(const Key& key) {
    const uint32_t slot = find(key);
    if (slot != kNoSlot) erase(slot);
    return slot != kNoSlot;
  }
  void clear();
  // Room for so many entries in all, and so many more bytes of keys. False: no memory.
  bool reserve(size_t entries, size_t key_bytes);
  // The table with no more room than it needs. False: no memory.
  bool shrink();

  // --- an entry ---------------------------------------------------------------------------------
  uint64_t number_at(uint32_t slot) const { return load<uint64_t>(key_at(slot)); }
  const char* bytes_at(uint32_t slot, uint32_t* length) const;
  uint64_t scalar_at(uint32_t slot) const { return load<uint64_t>(key_at(slot) + key_bytes_); }
  Reference reference_at(uint32_t slot) const { return load_reference(values_ + slot); }

  // --- in order ---------------------------------------------------------------------------------
  // Unlinked tables: in the order of slots. Linked ones: from the least recently used on.
  uint32_t first() const { return shape_.linked ? record_->oldest - 1 : next_full(0); }
  uint32_t after(uint32_t slot) const {
    return shape_.linked ? links_at(slot).newer - 1 : next_full(slot + 1);
  }
  // Differs once entries have come or gone, unless as many came as went without a new table.
  uint64_t state() const { return std::rotl(uint64_t{record_->table}, 32) ^ record_->count; }
  // One to take out, of a table that has any: the oldest, or another than those before, so that
  // emptying a table does not search its empty slots again and again.
  uint32_t any() {
    if (shape_.linked) return first();
    uint32_t slot = next_full(record_->oldest);
    if (slot == kNoSlot) slot = next_full(0);
    return record_->oldest = slot;
  }
  // The entry is the most recently used one from now on.
  void touch(uint32_t slot);
  // What was used least recently, while there are more entries than the limit; else kNoSlot.
  uint32_t overdue() const {
    return record_->limit != 0 && record_->count > record_->limit ? record_->oldest - 1 : kNoSlot;
  }

  // --- many -------------------------------------------------------------------------------------
  // Calls `found(i, slot or kNoSlot)` for each `key_of(i)`. The memory that a search will read is
  // asked for a block of keys in advance, so that searches wait for it together.
  template <typename KeyAt, typename Found>
  void find_many(size_t count, KeyAt key_at, Found found);
  // Calls `use(i, key)`, which may insert, in the same way.
  template <typename KeyAt, typename Use>
  void for_keys(size_t count, KeyAt key_at, Use use);

  // Stops the program when something does not fit together.
  void verify() const;

 private:
  static constexpr unsigned kBlock = 32;
  static constexpr uint8_t kEmpty = 0;
  static constexpr uint8_t kErased = 1;
  static constexpr uint64_t kOnes = 0x0101010101010101;
  static constexpr uint64_t kTops = 0x8080808080808080;

  struct Links {
    uint32_t older;
    uint32_t newer;
  };
  struct Built;

  template <typename T>
  static T load(const char* memory) {
    T value;
    std::memcpy(&value, memory, sizeof value);
    return value;
  }

  static uint8_t tag_of(uint64_t hash) { return static_cast<uint8_t>(0x80 | (hash & 0x7f)); }
  static uint32_t group_of(uint64_t hash, uint32_t groups) {
    return static_cast<uint32_t>((hash >> 32) * groups >> 32);
  }
  // A bit in the top of each byte of `word` that may be `tag`; true ones are among them.
  static uint64_t matches(uint64_t word, uint8_t tag) {
    const uint64_t same = word ^ (kOnes * tag);
    return (same - kOnes) & ~same & kTops;
  }
  static bool has_empty(uint64_t word) { return ((word - kOnes) & ~word & kTops) != 0; }
  static uint32_t first_byte(uint64_t bits) {
    return static_cast<uint32_t>(__builtin_ctzll(bits)) / 8;
  }

  void look_up();
  char* key_at(uint32_t slot) const { return slots_ + size_t{slot} * stride_; }
  Links links_at(uint32_t slot) const {
    return load<Links>(key_at(slot) + stride_ - sizeof(Links));
  }
  void set_links(uint32_t slot, Links links) {
    std::memcpy(key_at(slot) + stride_ - sizeof links, &links, sizeof links);
  }
  bool equals(uint32_t slot, const Key& key) const;
  uint32_t next_full(uint32_t slot) const;
  uint32_t free_slot(uint64_t hash) const;
  void link_newest(uint32_t slot);
  void unlink(uint32_t slot);
  Key key_in(uint32_t slot) const;
  bool rebuild(size_t entries, size_t log_bytes);
  void copy_entries(HashTable& to, uint32_t* moved);
  void copy_links(HashTable& to, const uint32_t* moved);
  void append_key(uint32_t slot, const Key& key);
  void prefetch(const Key* keys, size_t count) const;

  CollectedHeap& heap_;
  Access& access_;
  TableRecord* record_;
  const TableShape shape_;
  const uint32_t key_bytes_;
  const uint32_t stride_;
  uint8_t* controls_ = nullptr;
  char* slots_ = nullptr;
  Reference* values_ = nullptr;
  char* log_ = nullptr;
};

template <typename KeyAt, typename Found>
void HashTable::find_many(size_t count, KeyAt key_at, Found found) {
  for_keys(count, key_at, [&](size_t i, const Key& key) {
    found(i, find(key));
    return true;
  });
}

template <typename KeyAt, typename Use>
void HashTable::for_keys(size_t count, KeyAt key_at, Use use) {
  Key keys[kBlock];
  for (size_t begin = 0; begin < count; begin += kBlock) {
    if (begin % kPollEntries == 0) heap_.poll(access_);
    const size_t here = count - begin < kBlock ? count - begin : kBlock;
    for (size_t i = 0; i < here; ++i) keys[i] = key_at(begin + i);
    prefetch(keys, here);
    for (size_t i = 0; i < here; ++i) {
      if (!use(begin + i, keys[i])) return;
    }
  }
}

}  // namespace tri::collected
