// Containers for C, include/trimalloc/containers.h, over those of containers/.
//
//   call ──► Inside: is it one, may it be changed, its lock ──► what it is of its kind: with_map
//   ...
//
// A caller holds a processor when it asks for a container's lock, which nobody waits for with one:
// if the lock is held by another thread the processor is given back meanwhile.
#include <cmath>
#include <cstring>

#include "engine/frontends/collected/c_access.h"
#include "engine/frontends/collected/containers/growable_list.h"
#include "engine/frontends/collected/containers/hash_table.h"
#include "engine/frontends/collected/containers/priority_queue.h"
#include "engine/frontends/collected/containers/trie.h"

#pragma GCC visibility push(default)
#include "include/trimalloc/containers.h"
#pragma GCC visibility pop

using namespace tri::collected;

namespace {

int failed(int error) {
  errno = error;
  return -1;
}

constexpr uint32_t bit(uint32_t number) { return 1u << number; }
constexpr uint32_t kTables = bit(TRIMALLOC_MAP) | bit(TRIMALLOC_LRU);
constexpr uint32_t kAny =
    kTables | bit(TRIMALLOC_LIST) | bit(TRIMALLOC_TRIE) | bit(TRIMALLOC_QUEUE);
enum class Use : bool { kReads, kChanges };

// What keys a kind can have, as bits.
uint32_t keys_of(uint32_t kind) {
  if ((bit(kind) & kTables) != 0) return bit(TRIMALLOC_INTEGERS) | bit(TRIMALLOC_BYTES);
  if (kind == TRIMALLOC_QUEUE) return bit(TRIMALLOC_INTEGERS) | bit(TRIMALLOC_REALS);
  return kind == TRIMALLOC_TRIE ? bit(TRIMALLOC_BYTES) : bit(TRIMALLOC_INTEGERS);
}

const Layout& layout_of(uint32_t kind) {
  if (kind == TRIMALLOC_LIST) return kListLayout;
  if (kind == TRIMALLOC_TRIE) return kTrieLayout;
  return kind == TRIMALLOC_QUEUE ? kQueueLayout : kTableLayout;
}

bool is_known(uint32_t kind, uint32_t keys, uint32_t values) {
  return kind <= TRIMALLOC_QUEUE && keys <= TRIMALLOC_RECORDS && values <= TRIMALLOC_RECORDS &&
         (keys_of(kind) & bit(keys)) != 0;
}

ValueKind value_kind(const trimalloc_containers& of) {
  if (of.values == TRIMALLOC_RECORDS) return ValueKind::kRecord;
  return of.values == TRIMALLOC_BYTES ? ValueKind::kBytes : ValueKind::kScalar;
}

// A container and its lock, for as long as this lives; error() when it cannot be had.
class Inside {
 public:
  Inside(trimalloc_access* access, const trimalloc_containers* of, trimalloc_ref container,
         uint32_t kinds, Use use)
      : access_(access), of_(*of), record_(container) {
    if (!is_known(of->kind, of->keys, of->values) || (kinds & bit(of->kind)) == 0 ||
        trimalloc_type_of(access, container) != of->type) {
      error_ = EINVAL;
      return;
    }
    if (use == Use::kChanges && heap().is_read_only()) {
      error_ = EROFS;
      return;
    }
    tri::platform::Lock& lock = heap().container_locks().of(container);
    if (!lock.try_acquire()) heap().outside(held(access), [&] { lock.acquire(); });
    lock_ = &lock;
  }
  ~Inside() {
    if (lock_ == nullptr) return;
    lock_->release();
    look_up(access_);
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  int error() const { return error_; }
  CollectedHeap& heap() const { return heap_of(access_); }
  bool is(trimalloc_container_kind kind) const { return of_.kind == kind; }
  bool has_real_keys() const { return of_.keys == TRIMALLOC_REALS; }

  HashTable table() const {
    return {heap(),
            held(access_),
            record_,
            {of_.keys == TRIMALLOC_BYTES, value_kind(of_), of_.kind == TRIMALLOC_LRU}};
  }
  Trie trie() const { return {heap(), held(access_), record_, value_kind(of_)}; }
  PriorityQueue queue() const { return {heap(), held(access_), record_, value_kind(of_)}; }
  GrowableList list() const { return {heap(), held(access_), record_, value_kind(of_)}; }

  Key key(const HashTable& table, const trimalloc_item& key) const {
    if (of_.keys == TRIMALLOC_INTEGERS) return table.key_of(static_cast<uint64_t>(key.integer));
    return table.key_of(static_cast<const char*>(key.bytes), key.length);
  }
  Key key(const Trie& trie, const trimalloc_item& key) const {
    return trie.key_of(static_cast<const char*>(key.bytes), key.length);
  }

  // False: a record is to be stored that is none.
  bool read(const trimalloc_item& item, Value* value) const {
    if (of_.values == TRIMALLOC_INTEGERS) {
      value->word = static_cast<uint64_t>(item.integer);
    } else if (of_.values == TRIMALLOC_REALS) {
      std::memcpy(&value->word, &item.real, sizeof value->word);
    } else if (of_.values == TRIMALLOC_BYTES) {
      *value = {0, static_cast<const char*>(item.bytes), item.length};
    } else {
      value->word = item.record;
      return heap().is_live(item.record);
    }
    return true;
  }
  // Tells the value at a place of any of them.
  template <typename Container>
  void tell_value(const Container& in, uint32_t at, trimalloc_item* item) const {
    if (item == nullptr) return;
    if (is_reference(value_kind(of_))) {
      tell_reference(in.reference_at(at), item);
    } else {
      tell_word(in.scalar_at(at), item);
    }
  }
  void tell_reference(Reference reference, trimalloc_item* item) const {
    *item = {};
    if (of_.values == TRIMALLOC_RECORDS) {
      item->record = reference;
    } else if (reference != kNone) {
      item->bytes = scalars_of(heap(), reference);
      item->length = reinterpret_cast<ArrayHeader*>(heap().address_of(reference))->length;
    }
  }
  void tell_word(uint64_t word, trimalloc_item* item) const {
    *item = {};
    if (of_.values == TRIMALLOC_INTEGERS) {
      item->integer = static_cast<int64_t>(word);
    } else {
      std::memcpy(&item->real, &word, sizeof word);
    }
  }
  void tell_key(const HashTable& table, uint32_t slot, trimalloc_item* item) const {
    if (item == nullptr) return;
    *item = {};
    if (of_.keys == TRIMALLOC_INTEGERS) {
      item->integer = static_cast<int64_t>(table.number_at(slot));
    } else {
      item->bytes = table.bytes_at(slot, &item->length);
    }
  }

 private:
  trimalloc_access* access_;
  const trimalloc_containers of_;
  const Reference record_;
  tri::platform::Lock* lock_ = nullptr;
  int error_ = 0;
};

int put_in_table(const Inside& in, const trimalloc_item& key, const Value& value) {
  HashTable table = in.table();
  // Keys are made after this: the first room decides how they are hashed.
  bool inserted = false;
  if (!table.reserve(0, 0)) return failed(ENOMEM);
  const uint32_t slot = table.put(in.key(table, key), value, &inserted);
  if (slot == HashTable::kNoSlot) return failed(ENOMEM);
  for (uint32_t old; (old = table.overdue()) != HashTable::kNoSlot;) table.erase(old);
  return inserted ? 1 : 0;
}

int put_in_trie(const Inside& in, const trimalloc_item& key, const Value& value) {
  Trie trie = in.trie();
  bool inserted = false;
  if (trie.put(in.key(trie, key), value, &inserted) == Trie::kNoSlot) return failed(ENOMEM);
  return inserted ? 1 : 0;
}

int put_in_list(const Inside& in, const trimalloc_item& key, const Value& value) {
  GrowableList list = in.list();
  if (key.integer < 0 || key.integer > list.size()) return failed(EINVAL);
  const auto at = static_cast<uint32_t>(key.integer);
  const bool is_new = at == list.size();
  if (!(is_new ? list.append(value) : list.set(at, value))) return failed(ENOMEM);
  return is_new ? 1 : 0;
}

int put_in_queue(const Inside& in, const trimalloc_item& key, const Value& value) {
  if (in.has_real_keys() && std::isnan(key.real)) return failed(EINVAL);  // it has no place
  const uint64_t order = in.has_real_keys() ? order_of(key.real) : order_of(key.integer);
  return in.queue().push(order, value) ? 1 : failed(ENOMEM);
}

int first_of_queue(const Inside& in, bool take, trimalloc_item* key, trimalloc_item* value,
                   bool has_references) {
  PriorityQueue queue = in.queue();
  if (queue.size() == 0) return 0;
  if (key != nullptr) {
    *key = {};
    if (in.has_real_keys()) {
      key->real = float_of(queue.first_order());
    } else {
      key->integer = integer_of(queue.first_order());
    }
  }
  if (value != nullptr && has_references) in.tell_reference(queue.first_reference(), value);
  if (value != nullptr && !has_references) in.tell_word(queue.first_scalar(), value);
  if (take) queue.pop();
  return 1;
}

int last_of_list(const Inside& in, bool take, trimalloc_item* key, trimalloc_item* value) {
  GrowableList list = in.list();
  if (list.size() == 0) return 0;
  const uint32_t last = list.size() - 1;
  if (key != nullptr) {
    *key = {};
    key->integer = last;
  }
  in.tell_value(list, last, value);
  if (take) list.truncate(last);
  return 1;
}

int oldest_of_table(const Inside& in, bool take, trimalloc_item* key, trimalloc_item* value) {
  HashTable table = in.table();
  if (table.size() == 0) return 0;
  const uint32_t slot = table.first();
  in.tell_key(table, slot, key);
  in.tell_value(table, slot, value);
  if (take) table.erase(slot);
  return 1;
}

// The value of an item that was found, in either kind of map.
template <typename Map>
int get_in(const Inside& in, const Map& map, uint32_t at, trimalloc_item* value) {
  if (at == Map::kNoSlot) return 0;
  in.tell_value(map, at, value);
  return 1;
}

}  // namespace

int trimalloc_containers_create(trimalloc_heap* heap, trimalloc_container_kind kind,
                                trimalloc_content keys, trimalloc_content values,
                                trimalloc_containers* containers) {
  if (!is_known(kind, keys, values)) return failed(EINVAL);
  const RecordType* const type = heap_of(heap).add_type(layout_of(kind));
  if (type == nullptr) {
    return failed(heap_of(heap).source_count() == CollectedHeap::kMaxSources ? ENOSPC : ENOMEM);
  }
  *containers = {type->source, static_cast<uint32_t>(kind), static_cast<uint32_t>(keys),
                 static_cast<uint32_t>(values)};
  return 0;
}

int64_t trimalloc_count(trimalloc_access* access, const trimalloc_containers* containers,
                        trimalloc_ref container) {
  const Inside in(access, containers, container, kAny, Use::kReads);
  if (in.error() != 0) return failed(in.error());
  if (in.is(TRIMALLOC_LIST)) return in.list().size();
  if (in.is(TRIMALLOC_TRIE)) return in.trie().size();
  return in.is(TRIMALLOC_QUEUE) ? in.queue().size() : in.table().size();
}

int trimalloc_put(trimalloc_access* access, const trimalloc_containers* containers,
                  trimalloc_ref container, const trimalloc_item* key, const trimalloc_item* item) {
  const bool is_record = containers->values == TRIMALLOC_RECORDS;
  TemporaryRoot kept(heap_of(access), held(access));
  if (is_record && !heap_of(access).is_live(item->record)) return failed(EINVAL);
  if (is_record && !kept.hold(item->record)) return failed(ENOMEM);
  const Inside in(access, containers, container, kAny, Use::kChanges);
  if (in.error() != 0) return failed(in.error());
  Value value;
  if (!in.read(*item, &value)) return failed(EINVAL);
  if (in.is(TRIMALLOC_LIST)) return put_in_list(in, *key, value);
  if (in.is(TRIMALLOC_TRIE)) return put_in_trie(in, *key, value);
  return in.is(TRIMALLOC_QUEUE) ? put_in_queue(in, *key, value) : put_in_table(in, *key, value);
}

int trimalloc_get(trimalloc_access* access, const trimalloc_containers* containers,
                  trimalloc_ref container, const trimalloc_item* key, trimalloc_item* value) {
  const Inside in(access, containers, container, kAny & ~bit(TRIMALLOC_QUEUE), Use::kReads);
  if (in.error() != 0) return failed(in.error());
  if (in.is(TRIMALLOC_TRIE)) {
    const Trie trie = in.trie();
    return get_in(in, trie, trie.find(in.key(trie, *key)), value);
  }
  if (in.is(TRIMALLOC_LIST)) {
    const GrowableList list = in.list();
    if (key->integer < 0 || key->integer >= list.size()) return 0;
    in.tell_value(list, static_cast<uint32_t>(key->integer), value);
    return 1;
  }
  HashTable table = in.table();
  const uint32_t slot = table.find(in.key(table, *key));
  if (slot != HashTable::kNoSlot && in.is(TRIMALLOC_LRU) && !in.heap().is_read_only()) {
    table.touch(slot);
  }
  return get_in(in, table, slot, value);
}

int trimalloc_remove(trimalloc_access* access, const trimalloc_containers* containers,
                     trimalloc_ref container, const trimalloc_item* key) {
  const Inside in(access, containers, container, kTables | bit(TRIMALLOC_TRIE), Use::kChanges);
  if (in.error() != 0) return failed(in.error());
  if (in.is(TRIMALLOC_TRIE)) {
    Trie trie = in.trie();
    return trie.erase_key(in.key(trie, *key)) ? 1 : 0;
  }
  HashTable table = in.table();
  return table.erase_key(in.key(table, *key)) ? 1 : 0;
}

int trimalloc_first(trimalloc_access* access, const trimalloc_containers* containers,
                    trimalloc_ref container, int take, trimalloc_item* key, trimalloc_item* value) {
  constexpr uint32_t kKinds = bit(TRIMALLOC_QUEUE) | bit(TRIMALLOC_LRU) | bit(TRIMALLOC_LIST);
  const Use use = take != 0 ? Use::kChanges : Use::kReads;
  const Inside in(access, containers, container, kKinds, use);
  if (in.error() != 0) return failed(in.error());
  if (in.is(TRIMALLOC_LIST)) return last_of_list(in, take != 0, key, value);
  if (in.is(TRIMALLOC_LRU)) return oldest_of_table(in, take != 0, key, value);
  return first_of_queue(in, take != 0, key, value, is_reference(value_kind(*containers)));
}

int trimalloc_longest_prefix(trimalloc_access* access, const trimalloc_containers* containers,
                             trimalloc_ref container, const trimalloc_item* key, uint32_t* length,
                             trimalloc_item* value) {
  const Inside in(access, containers, container, bit(TRIMALLOC_TRIE), Use::kReads);
  if (in.error() != 0) return failed(in.error());
  const Trie trie = in.trie();
  return get_in(in, trie, trie.longest_prefix(in.key(trie, *key), length), value);
}

int trimalloc_next(trimalloc_access* access, const trimalloc_containers* containers,
                   trimalloc_ref container, uint32_t* position, trimalloc_item* key,
                   trimalloc_item* value) {
  const Inside in(access, containers, container, kTables | bit(TRIMALLOC_LIST), Use::kReads);
  if (in.error() != 0) return failed(in.error());
  if (in.is(TRIMALLOC_LIST)) {
    const GrowableList list = in.list();
    if (*position >= list.size()) return 0;
    if (key != nullptr) {
      *key = {};
      key->integer = *position;
    }
    in.tell_value(list, (*position)++, value);
    return 1;
  }
  const HashTable table = in.table();
  if (table.size() == 0) return 0;
  // 1 more than the slot of the last entry.
  const uint32_t slot = *position == 0 ? table.first() : table.after(*position - 1);
  if (slot == HashTable::kNoSlot) return 0;
  in.tell_key(table, slot, key);
  in.tell_value(table, slot, value);
  *position = slot + 1;
  return 1;
}

int trimalloc_set_capacity(trimalloc_access* access, const trimalloc_containers* containers,
                           trimalloc_ref container, uint32_t entries) {
  const Inside in(access, containers, container, bit(TRIMALLOC_LRU), Use::kChanges);
  if (in.error() != 0) return failed(in.error());
  HashTable table = in.table();
  table.set_limit(entries);
  for (uint32_t old; (old = table.overdue()) != HashTable::kNoSlot;) table.erase(old);
  return 0;
}

int trimalloc_clear(trimalloc_access* access, const trimalloc_containers* containers,
                    trimalloc_ref container) {
  const Inside in(access, containers, container, kAny, Use::kChanges);
  if (in.error() != 0) return failed(in.error());
  if (in.is(TRIMALLOC_LIST)) {
    in.list().clear();
  } else if (in.is(TRIMALLOC_TRIE)) {
    in.trie().clear();
  } else if (in.is(TRIMALLOC_QUEUE)) {
    in.queue().clear();
  } else {
    in.table().clear();
  }
  return 0;
}
