// Searching, inserting, erasing, and building a table anew.
#include "engine/frontends/collected/containers/hash_table.h"

#include <algorithm>

#include "engine/base/check.h"
#include "engine/platform/cpu.h"

namespace tri::collected {

namespace {

// At most so many of 16 slots are used before the table is built anew: a search looks at 1.1 groups
// on average then, where the key is not there at 1.9.
constexpr size_t kFull = 14;
constexpr size_t kOf = 16;

// Lengths before keys: seven bits a byte, the lowest first, all but the last with the top bit.
constexpr unsigned kLengthBits = 7;

uint32_t length_bytes(uint32_t length) {
  uint32_t bytes = 1;
  for (; length >> kLengthBits != 0; length >>= kLengthBits) ++bytes;
  return bytes;
}

char* write_length(char* to, uint32_t length) {
  for (; length >> kLengthBits != 0; length >>= kLengthBits) {
    *to++ = static_cast<char>(length | 0x80);
  }
  *to++ = static_cast<char>(length);
  return to;
}

const char* read_length(const char* from, uint32_t* length) {
  auto byte = static_cast<uint8_t>(*from++);
  *length = byte & 0x7f;
  for (unsigned shift = kLengthBits; (byte & 0x80) != 0; shift += kLengthBits) {
    byte = static_cast<uint8_t>(*from++);
    *length |= static_cast<uint32_t>(byte & 0x7f) << shift;
  }
  return from;
}

constexpr size_t groups_for(size_t entries) {
  constexpr size_t full = kFull * HashTable::kGroupSlots;
  return std::max<size_t>(1, (entries * kOf + full - 1) / full);
}
constexpr size_t most_entries(size_t groups) {
  return groups * HashTable::kGroupSlots * kFull / kOf;
}

}  // namespace

// A table that is being filled, before it takes the place of the old one.
struct HashTable::Built {
  Built(CollectedHeap& heap, Access& access)
      : table(heap, access), values(heap, access), log(heap, access) {}
  TemporaryRoot table;
  TemporaryRoot values;
  TemporaryRoot log;
};

HashTable::HashTable(CollectedHeap& heap, Access& access, Reference record, TableShape shape)
    : heap_(heap),
      access_(access),
      record_(reinterpret_cast<TableRecord*>(heap.address_of(record))),
      shape_(shape),
      key_bytes_(shape.byte_keys ? 4 : 8),
      stride_(key_bytes_ + (is_reference(shape.values) ? 0u : 8u) +
              (shape.linked ? static_cast<uint32_t>(sizeof(Links)) : 0u)) {
  look_up();
}

void HashTable::look_up() {
  controls_ = reinterpret_cast<uint8_t*>(scalars_of(heap_, load_reference(&record_->table)));
  slots_ = reinterpret_cast<char*>(controls_) + size_t{record_->groups} * kGroupSlots;
  values_ = references_of(heap_, load_reference(&record_->values));
  log_ = scalars_of(heap_, load_reference(&record_->log));
}

// --- searching ------------------------------------------------------------------------------

bool HashTable::equals(uint32_t slot, const Key& key) const {
  if (!shape_.byte_keys) return number_at(slot) == key.number;
  uint32_t length;
  const char* const bytes = bytes_at(slot, &length);
  return length == key.length && std::memcmp(bytes, key.data, length) == 0;
}

const char* HashTable::bytes_at(uint32_t slot, uint32_t* length) const {
  return read_length(log_ + load<uint32_t>(key_at(slot)), length);
}

Key HashTable::key_in(uint32_t slot) const {
  if (!shape_.byte_keys) return key_of(number_at(slot));
  uint32_t length;
  const char* const bytes = bytes_at(slot, &length);
  return key_of(bytes, length);
}

uint32_t HashTable::find(const Key& key) const {
  if (record_->count == 0) return kNoSlot;
  const uint32_t groups = record_->groups;
  const uint8_t tag = tag_of(key.hash);
  for (uint32_t group = group_of(key.hash, groups);;) {
    const auto word = load<uint64_t>(reinterpret_cast<char*>(controls_) + size_t{group} * 8);
    for (uint64_t bits = matches(word, tag); bits != 0; bits &= bits - 1) {
      const uint32_t slot = group * kGroupSlots + first_byte(bits);
      if (controls_[slot] == tag && equals(slot, key)) return slot;
    }
    if (has_empty(word)) return kNoSlot;
    if (++group == groups) group = 0;
  }
}

// The first slot on the key's way that is empty or was erased; there is one.
uint32_t HashTable::free_slot(uint64_t hash) const {
  for (uint32_t group = group_of(hash, record_->groups);;) {
    const auto word = load<uint64_t>(reinterpret_cast<char*>(controls_) + size_t{group} * 8);
    if (const uint64_t bits = ~word & kTops; bits != 0) {
      return group * kGroupSlots + first_byte(bits);
    }
    if (++group == record_->groups) group = 0;
  }
}

uint32_t HashTable::next_full(uint32_t slot) const {
  const uint32_t slots = record_->groups * kGroupSlots;
  for (; slot < slots; ++slot) {
    if (controls_[slot] >= 0x80) return slot;
  }
  return kNoSlot;
}

void HashTable::prefetch(const Key* keys, size_t count) const {
  const uint32_t groups = record_->groups;
  if (groups == 0) return;
  for (size_t i = 0; i < count; ++i) {
    __builtin_prefetch(controls_ + size_t{group_of(keys[i].hash, groups)} * 8);
  }
  uint32_t likely[kBlock];
  for (size_t i = 0; i < count; ++i) {
    const uint32_t group = group_of(keys[i].hash, groups);
    const auto word = load<uint64_t>(reinterpret_cast<char*>(controls_) + size_t{group} * 8);
    const uint64_t bits = matches(word, tag_of(keys[i].hash));
    likely[i] = group * kGroupSlots + (bits != 0 ? first_byte(bits) : 0);
    __builtin_prefetch(key_at(likely[i]));
    if (values_ != nullptr) __builtin_prefetch(values_ + likely[i]);
  }
  if (!shape_.byte_keys) return;
  for (size_t i = 0; i < count; ++i) {
    if (controls_[likely[i]] >= 0x80) {
      __builtin_prefetch(log_ + load<uint32_t>(key_at(likely[i])));
    }
  }
}

// --- inserting and erasing ------------------------------------------------------------------

uint32_t HashTable::put(const Key& key, const Value& value, bool* inserted) {
  uint32_t slot = find(key);
  *inserted = slot == kNoSlot;
  if (!*inserted) {
    if (!is_reference(shape_.values)) {
      std::memcpy(key_at(slot) + key_bytes_, &value.word, sizeof value.word);
    } else if (!store_value(heap_, access_, values_ + slot, shape_.values, value)) {
      return kNoSlot;
    }
    if (shape_.linked) touch(slot);
    return slot;
  }
  if (!reserve(size_t{record_->count} + 1, key.length)) return kNoSlot;
  slot = free_slot(key.hash);
  // The value first: should there be no memory for it, nothing has happened.
  if (is_reference(shape_.values)) {
    if (!store_value(heap_, access_, values_ + slot, shape_.values, value)) return kNoSlot;
  } else {
    std::memcpy(key_at(slot) + key_bytes_, &value.word, sizeof value.word);
  }
  append_key(slot, key);
  if (shape_.linked) link_newest(slot);
  if (controls_[slot] == kErased) --record_->erased;
  controls_[slot] = tag_of(key.hash);
  ++record_->count;
  return slot;
}

void HashTable::append_key(uint32_t slot, const Key& key) {
  if (!shape_.byte_keys) {
    std::memcpy(key_at(slot), &key.number, sizeof key.number);
    return;
  }
  const uint32_t at = record_->log_used;
  char* const to = write_length(log_ + at, key.length);
  if (key.length != 0) std::memcpy(to, key.data, key.length);
  const uint32_t bytes = length_bytes(key.length) + key.length;
  record_->log_used += bytes;
  record_->log_live += bytes;
  std::memcpy(key_at(slot), &at, sizeof at);
}

void HashTable::erase(uint32_t slot) {
  if (shape_.byte_keys) {
    uint32_t length;
    bytes_at(slot, &length);
    record_->log_live -= length_bytes(length) + length;
  }
  if (shape_.linked) unlink(slot);
  if (values_ != nullptr) heap_.store(access_, values_ + slot, kNone);
  const auto word =
      load<uint64_t>(reinterpret_cast<char*>(controls_) + size_t{slot / kGroupSlots} * 8);
  // Where the group has an empty slot, no search goes past it.
  const bool passed = !has_empty(word);
  controls_[slot] = passed ? kErased : kEmpty;
  if (passed) ++record_->erased;
  --record_->count;
}

void HashTable::clear() {
  record_->groups = record_->count = record_->erased = 0;
  record_->log_used = record_->log_live = 0;
  record_->oldest = record_->newest = 0;
  replace_array(heap_, access_, &record_->table, kNone);
  replace_array(heap_, access_, &record_->values, kNone);
  replace_array(heap_, access_, &record_->log, kNone);
  look_up();
}

// --- the order of last use ------------------------------------------------------------------

void HashTable::link_newest(uint32_t slot) {
  set_links(slot, {record_->newest, 0});
  if (record_->newest == 0) {
    record_->oldest = slot + 1;
  } else {
    const uint32_t last = record_->newest - 1;
    set_links(last, {links_at(last).older, slot + 1});
  }
  record_->newest = slot + 1;
}

void HashTable::unlink(uint32_t slot) {
  const Links links = links_at(slot);
  if (links.older == 0) {
    record_->oldest = links.newer;
  } else {
    set_links(links.older - 1, {links_at(links.older - 1).older, links.newer});
  }
  if (links.newer == 0) {
    record_->newest = links.older;
  } else {
    set_links(links.newer - 1, {links.older, links_at(links.newer - 1).newer});
  }
}

void HashTable::touch(uint32_t slot) {
  if (record_->newest == slot + 1) return;
  unlink(slot);
  link_newest(slot);
}

// --- building anew --------------------------------------------------------------------------

bool HashTable::reserve(size_t entries, size_t key_bytes) {
  entries = std::max<size_t>(entries, 1);  // there is a table, and with it a seed, from now on
  // A length takes one byte in 128 and one at least; five are the most.
  const size_t more = shape_.byte_keys ? key_bytes + key_bytes / 128 + 5 : 0;
  size_t log_capacity = 0;
  if (log_ != nullptr) {
    log_capacity = size_t{reinterpret_cast<ArrayHeader*>(log_ - sizeof(ArrayHeader))->length} * 8;
  }
  const size_t wanted = std::max<size_t>(entries, record_->count);
  const bool full = wanted + record_->erased > most_entries(record_->groups);
  if (!full && record_->log_used + more <= log_capacity) return true;
  // One more than there are is growth by and by, which takes room in advance.
  const bool one = entries <= size_t{record_->count} + 1;
  const size_t live = record_->log_live + more;
  // A full log makes the table grow too: else it would be full soon after, and all be copied again.
  const size_t room =
      std::max(full ? 0 : most_entries(record_->groups), one ? grown(wanted) : wanted);
  return rebuild(room, one ? grown(live) : live);
}

bool HashTable::shrink() { return rebuild(record_->count, record_->log_live); }

// In blocks, whose keys and places in the new table are asked for in advance. `moved`, when slots
// are linked, gets for each old slot 1 more than its new one.
void HashTable::copy_entries(HashTable& to, uint32_t* moved) {
  uint32_t slots[kBlock];
  Key keys[kBlock];
  for (uint32_t next = next_full(0); next != kNoSlot;) {
    heap_.poll(access_);
    unsigned count = 0;
    for (; count < kBlock && next != kNoSlot; next = next_full(next + 1)) {
      slots[count++] = next;
      if (shape_.byte_keys) __builtin_prefetch(log_ + load<uint32_t>(key_at(next)));
    }
    for (unsigned i = 0; i < count; ++i) keys[i] = key_in(slots[i]);
    to.prefetch(keys, count);
    for (unsigned i = 0; i < count; ++i) {
      const uint32_t place = to.free_slot(keys[i].hash);
      to.append_key(place, keys[i]);
      if (values_ != nullptr) {
        heap_.store(access_, to.values_ + place, reference_at(slots[i]));
      } else {
        std::memcpy(to.key_at(place) + key_bytes_, key_at(slots[i]) + key_bytes_, sizeof(uint64_t));
      }
      if (shape_.linked) moved[slots[i]] = place + 1;
      to.controls_[place] = tag_of(keys[i].hash);
      ++to.record_->count;
    }
  }
}

// Slots are gone through in their own order once more: following the links from one to the next
// would wait for memory at each step.
void HashTable::copy_links(HashTable& to, const uint32_t* moved) {
  const auto to_new = [&](uint32_t one) { return one == 0 ? 0 : moved[one - 1]; };
  uint32_t copied = 0;
  for (uint32_t slot = next_full(0); slot != kNoSlot; slot = next_full(slot + 1)) {
    if (++copied % kPollEntries == 0) heap_.poll(access_);
    const Links links = links_at(slot);
    to.set_links(moved[slot] - 1, {to_new(links.older), to_new(links.newer)});
  }
  to.record_->oldest = to_new(record_->oldest);
  to.record_->newest = to_new(record_->newest);
}

bool HashTable::rebuild(size_t entries, size_t log_bytes) {
  const size_t groups = groups_for(std::max<size_t>(entries, record_->count));
  if (groups * kGroupSlots >= UINT32_MAX || log_bytes > UINT32_MAX) return false;
  const auto slots = static_cast<uint32_t>(groups * kGroupSlots);
  Built built(heap_, access_);
  if (!built.table.hold(make_scalars(heap_, access_, slots + size_t{slots} * stride_)))
    return false;
  if (is_reference(shape_.values) && !built.values.hold(make_references(heap_, access_, slots))) {
    return false;
  }
  if (shape_.byte_keys && !built.log.hold(make_scalars(heap_, access_, log_bytes))) return false;
  TemporaryRoot moved(heap_, access_);
  if (shape_.linked) {
    const size_t old_slots = size_t{record_->groups} * kGroupSlots;
    if (!moved.hold(make_scalars(heap_, access_, old_slots * sizeof(uint32_t)))) return false;
  }
  if (record_->seed == 0) {
    record_->seed = hash_number(platform::now_ns(), reinterpret_cast<uintptr_t>(record_)) | 1;
  }

  // The new table, as a record that nobody sees yet.
  TableRecord fresh = *record_;
  HashTable to(*this);
  to.record_ = &fresh;
  fresh.groups = static_cast<uint32_t>(groups);
  fresh.count = fresh.erased = fresh.log_used = fresh.log_live = fresh.oldest = fresh.newest = 0;
  to.controls_ = reinterpret_cast<uint8_t*>(scalars_of(heap_, built.table.get()));
  to.slots_ = reinterpret_cast<char*>(to.controls_) + slots;
  to.values_ = references_of(heap_, built.values.get());
  to.log_ = scalars_of(heap_, built.log.get());
  auto* const moves = reinterpret_cast<uint32_t*>(scalars_of(heap_, moved.get()));
  copy_entries(to, moves);
  if (shape_.linked) copy_links(to, moves);

  fresh.table = fresh.values = fresh.log = kNone;
  std::memcpy(reinterpret_cast<char*>(record_) + offsetof(TableRecord, groups), &fresh.groups,
              sizeof(TableRecord) - offsetof(TableRecord, groups));
  replace_array(heap_, access_, &record_->table, built.table.get());
  replace_array(heap_, access_, &record_->values, built.values.get());
  replace_array(heap_, access_, &record_->log, built.log.get());
  if (shape_.linked && !heap_.is_marking()) heap_.free_unreferenced(access_, moved.release());
  look_up();
  return true;
}

// --- checking -------------------------------------------------------------------------------

void HashTable::verify() const {
  uint32_t full = 0;
  uint32_t erased = 0;
  uint32_t log_live = 0;
  for (uint32_t slot = 0; slot < record_->groups * kGroupSlots; ++slot) {
    erased += controls_[slot] == kErased;
    if (controls_[slot] < 0x80) continue;
    ++full;
    const Key key = key_in(slot);
    TRI_CHECK_EQ(controls_[slot], tag_of(key.hash));
    TRI_CHECK_EQ(find(key), slot);
    if (shape_.byte_keys) log_live += length_bytes(key.length) + key.length;
  }
  TRI_CHECK_EQ(full, record_->count);
  TRI_CHECK_EQ(erased, record_->erased);
  TRI_CHECK_EQ(log_live, record_->log_live);
  TRI_CHECK(log_live <= record_->log_used);
  if (!shape_.linked) return;
  uint32_t linked = 0;
  for (uint32_t slot = first(); slot != kNoSlot; slot = after(slot)) ++linked;
  TRI_CHECK_EQ(linked, full);
}

}  // namespace tri::collected
