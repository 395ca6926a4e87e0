// Searching, inserting, erasing, and building a trie anew.
#include "engine/frontends/collected/containers/trie.h"

#include <algorithm>

#include "engine/base/check.h"

namespace tri::collected {

namespace {

// Word 0 is no node, so that 0 is "none".
constexpr uint32_t kFirstNode = 1;
constexpr uint32_t kLeastRoom = 2;

}  // namespace

// Where a search ended: at `node`, `matched` bytes into its label, `at` bytes into the key.
struct Trie::Place {
  uint32_t node = 0;
  uint32_t parent = 0;
  uint32_t index = 0;  // of `node` in `parent`
  // The nearest node above that would stay were `node` erased: the root, one with a value, or one
  // with other children. Which child of its leads on, and where it hangs itself.
  uint32_t kept = 0;
  uint32_t kept_child = 0;
  uint32_t kept_parent = 0;
  uint32_t kept_index = 0;
  uint32_t matched = 0;
  uint32_t at = 0;
  bool whole_label = false;
};

Trie::Trie(CollectedHeap& heap, Access& access, Reference record, ValueKind kind)
    : heap_(heap),
      access_(access),
      record_(reinterpret_cast<TrieRecord*>(heap.address_of(record))),
      kind_(kind) {
  look_up();
}

void Trie::look_up() {
  words_ = reinterpret_cast<uint32_t*>(scalars_of(heap_, load_reference(&record_->nodes)));
  values_ = references_of(heap_, load_reference(&record_->values));
  log_ = scalars_of(heap_, load_reference(&record_->log));
}

uint32_t Trie::head_for(uint32_t children) {
  if (children == 0) return 0;
  uint32_t power = 1;
  while (1u << power < children) ++power;
  return power << kRoomShift;
}

// --- searching ------------------------------------------------------------------------------

uint32_t Trie::child(uint32_t node, uint8_t byte) const {
  const uint8_t* const bytes = bytes_of(node);
  const void* const found = std::memchr(bytes, byte, child_count(node));
  if (found == nullptr) return 0;
  return children_of(node)[static_cast<const uint8_t*>(found) - bytes];
}

uint32_t Trie::child_index(uint32_t node, uint8_t byte) const {
  const uint8_t* const bytes = bytes_of(node);
  return static_cast<uint32_t>(std::lower_bound(bytes, bytes + child_count(node), byte) - bytes);
}

bool Trie::advance(Lane& lane) const {
  const uint32_t node = lane.node;
  if (node == 0) return false;
  const Text label = label_of(node);
  const uint32_t left = lane.key.length - lane.at;
  if (label.length > left) return false;
  if (label.length != 0 && std::memcmp(label.data, lane.key.data + lane.at, label.length) != 0) {
    return false;
  }
  lane.at += label.length;
  if (has_value(node)) {
    lane.found = node;
    lane.length = lane.at;
  }
  if (label.length == left) return false;
  lane.node = child(node, static_cast<uint8_t>(lane.key.data[lane.at]));
  if (lane.node != 0) __builtin_prefetch(words_ + lane.node);
  return lane.node != 0;
}

uint32_t Trie::longest_prefix(const Key& key, uint32_t* length) const {
  Lane lane{0, key, record_->root, 0, kNoSlot, 0};
  while (advance(lane)) {
  }
  *length = lane.length;
  return lane.found;
}

uint32_t Trie::find(const Key& key) const {
  uint32_t length;
  const uint32_t node = longest_prefix(key, &length);
  return node != kNoSlot && length == key.length ? node : kNoSlot;
}

Trie::Place Trie::descend(const Key& key) const {
  Place place;
  place.node = record_->root;
  for (;;) {
    const Text label = label_of(place.node);
    const uint32_t most = std::min(label.length, key.length - place.at);
    place.matched = 0;
    while (place.matched < most &&
           label.data[place.matched] == key.data[place.at + place.matched]) {
      ++place.matched;
    }
    place.at += place.matched;
    place.whole_label = place.matched == label.length;
    if (!place.whole_label || place.at == key.length) return place;
    const auto byte = static_cast<uint8_t>(key.data[place.at]);
    const uint32_t index = child_index(place.node, byte);
    if (index == child_count(place.node) || bytes_of(place.node)[index] != byte) return place;
    if (place.node == record_->root || has_value(place.node) || child_count(place.node) > 1) {
      place.kept = place.node;
      place.kept_child = index;
      place.kept_parent = place.parent;
      place.kept_index = place.index;
    }
    place.parent = place.node;
    place.index = index;
    place.node = children_of(place.node)[index];
  }
}

// --- parts of nodes -------------------------------------------------------------------------

uint32_t Trie::make_node(uint32_t head) {
  const uint32_t node = record_->used;
  record_->used += words_for(head);
  record_->live += words_for(head);
  words_[node + kHead] = head;
  return node;
}

void Trie::forget_node(uint32_t node) { record_->live -= words_for(words_[node]); }

// A label out of what the log has already, or of a few bytes.
void Trie::set_label(uint32_t node, Text text) {
  words_[node + kLength] = text.length;
  if (text.length > kInPlace) {
    words_[node + kLabel] = static_cast<uint32_t>(text.data - log_);
    record_->log_live += text.length;
    return;
  }
  uint32_t word = 0;
  if (text.length != 0) std::memcpy(&word, text.data, text.length);
  words_[node + kLabel] = word;
}

// A label of bytes from elsewhere, for which the log has room.
void Trie::append_label(uint32_t node, Text text) {
  if (text.length > kInPlace) {
    char* const to = log_ + record_->log_used;
    std::memcpy(to, text.data, text.length);
    record_->log_used += text.length;
    text.data = to;
  }
  set_label(node, text);
}

void Trie::forget_label(uint32_t node) {
  const uint32_t length = words_[node + kLength];
  if (length > kInPlace) record_->log_live -= length;
}

void Trie::set_child(uint32_t parent, uint32_t index, uint32_t child) {
  if (parent == 0) {
    record_->root = child;
  } else {
    children_of(parent)[index] = child;
  }
}

void Trie::insert_child(uint32_t node, uint8_t byte, uint32_t child) {
  const uint32_t count = child_count(node);
  const uint32_t index = child_index(node, byte);
  uint8_t* const bytes = bytes_of(node);
  uint32_t* const children = children_of(node);
  std::memmove(bytes + index + 1, bytes + index, count - index);
  std::memmove(children + index + 1, children + index, (count - index) * sizeof *children);
  bytes[index] = byte;
  children[index] = child;
  ++words_[node];
}

void Trie::remove_child(uint32_t node, uint32_t index) {
  const uint32_t count = child_count(node);
  uint8_t* const bytes = bytes_of(node);
  uint32_t* const children = children_of(node);
  std::memmove(bytes + index, bytes + index + 1, count - index - 1);
  std::memmove(children + index, children + index + 1, (count - index - 1) * sizeof *children);
  --words_[node];
}

// --- inserting ------------------------------------------------------------------------------

Trie::Need Trie::need_for(const Place& place, const Key& key) const {
  Need need;
  need.values = is_reference(kind_) ? 1 : 0;
  if (place.node == 0) return {2 * header_words() + 3, key.length, need.values};  // and a root
  const uint32_t head = words_[place.node];
  if (place.at != key.length) {
    need.words += words_for(0);
    need.bytes = key.length - place.at;
    if (place.whole_label && child_count(place.node) == room_of(head)) {
      need.words += words_for(head_for(child_count(place.node) + 1));
    }
  }
  if (!place.whole_label) need.words += words_for(head_for(kLeastRoom));
  return need;
}

bool Trie::has_room(const Need& need) const {
  const auto words_in = [](const void* data, size_t of) -> size_t {
    if (data == nullptr) return 0;
    const auto* const header = static_cast<const ArrayHeader*>(data) - 1;
    return size_t{header->length} * of;
  };
  return size_t{record_->used} + need.words <= words_in(words_, 2) &&
         size_t{record_->log_used} + need.bytes <= words_in(log_, 8) &&
         (need.values == 0 || size_t{record_->value_used} + need.values <= words_in(values_, 1));
}

// A node before `place.node` takes the part of its label that matched. Returns it.
uint32_t Trie::split(const Place& place) {
  const uint32_t lower = place.node;
  const Text label = label_of(lower);
  // Set first: the label in place changes with the next but one line.
  const auto byte = static_cast<uint8_t>(label.data[place.matched]);
  const uint32_t upper = make_node(head_for(kLeastRoom));
  forget_label(lower);
  set_label(upper, {label.data, place.matched});
  if (label.length > kInPlace) {
    set_label(lower, {label.data + place.matched, label.length - place.matched});
  } else {
    char rest[kInPlace];
    const uint32_t length = label.length - place.matched;
    std::memcpy(rest, label.data + place.matched, length);
    set_label(lower, {rest, length});
  }
  insert_child(upper, byte, lower);
  set_child(place.parent, place.index, upper);
  return upper;
}

// A child for `place.node`, which moves when it has no room for one. Returns the node.
uint32_t Trie::add_child(const Place& place, uint8_t byte, uint32_t child) {
  uint32_t node = place.node;
  const uint32_t count = child_count(node);
  if (count == room_of(words_[node])) {
    const uint32_t larger = make_node(head_for(count + 1));
    words_[larger] |= words_[node] & (kHasValue | kCountMask);
    std::memcpy(words_ + larger + kLabel, words_ + node + kLabel,
                (header_words() - kLabel) * sizeof *words_);
    std::memcpy(bytes_of(larger), bytes_of(node), count);
    std::memcpy(children_of(larger), children_of(node), count * sizeof *words_);
    forget_node(node);
    set_child(place.parent, place.index, larger);
    node = larger;
  }
  insert_child(node, byte, child);
  return node;
}

uint32_t Trie::put(const Key& key, const Value& value, bool* inserted) {
  Place place;
  if (record_->root != 0) place = descend(key);
  const bool exact = place.node != 0 && place.whole_label && place.at == key.length;
  *inserted = !exact || !has_value(place.node);
  const Need need = need_for(place, key);
  if (*inserted && !has_room(need)) {
    if (!rebuild(need, true)) return kNoSlot;
    place = {};
    if (record_->root != 0) place = descend(key);
  }
  // The value first, which may collect, and may fail.
  uint32_t value_at = 0;
  if (is_reference(kind_)) {
    value_at = *inserted ? record_->value_used : words_[place.node + kValue];
    if (!store_value(heap_, access_, values_ + value_at, kind_, value)) return kNoSlot;
  }
  if (place.node == 0) {
    place.node = record_->root = make_node(head_for(kLeastRoom));
    set_label(place.node, {nullptr, 0});
    place.whole_label = true;
  }
  if (!place.whole_label) {
    place.node = split(place);
    place.whole_label = true;
  }
  uint32_t node = place.node;
  if (place.at != key.length) {
    node = make_node(0);
    append_label(node, {key.data + place.at, key.length - place.at});
    add_child(place, static_cast<uint8_t>(key.data[place.at]), node);
  }
  if (is_reference(kind_)) {
    words_[node + kValue] = value_at;
    if (*inserted) ++record_->value_used;
  } else {
    std::memcpy(words_ + node + kValue, &value.word, sizeof value.word);
  }
  words_[node] |= kHasValue;
  if (*inserted) ++record_->count;
  return node;
}

// --- erasing --------------------------------------------------------------------------------

// A node without a value and with one child becomes one with it. Where the log has no room for
// their label they stay two, which searches do not mind; what is erased below takes them along.
void Trie::merge(uint32_t parent, uint32_t index, uint32_t node) {
  const uint32_t lower = children_of(node)[0];
  const Text first = label_of(node);
  const Text second = label_of(lower);
  const uint32_t length = first.length + second.length;
  if (first.length > kInPlace && second.length > kInPlace &&
      first.data + first.length == second.data) {
    forget_label(node);
    forget_label(lower);
    set_label(lower, {first.data, length});
  } else if (length <= kInPlace) {
    char both[kInPlace];
    std::memcpy(both, first.data, first.length);
    std::memcpy(both + first.length, second.data, second.length);
    set_label(lower, {both, length});
  } else {
    if (!has_room({0, length, 0})) return;
    char* const to = log_ + record_->log_used;
    std::memcpy(to, first.data, first.length);
    std::memcpy(to + first.length, second.data, second.length);
    record_->log_used += length;
    forget_label(node);
    forget_label(lower);
    set_label(lower, {to, length});
  }
  forget_node(node);
  set_child(parent, index, lower);
}

// A leaf, and the nodes above it that lead nowhere else: a leaf always has a value.
void Trie::forget_way(uint32_t node) {
  for (;; node = children_of(node)[0]) {
    forget_label(node);
    forget_node(node);
    if (child_count(node) == 0) return;
  }
}

bool Trie::erase_key(const Key& key) {
  if (record_->count == 0) return false;
  const Place place = descend(key);
  if (!place.whole_label || place.at != key.length || !has_value(place.node)) return false;
  if (--record_->count == 0) {
    clear();
    return true;
  }
  const uint32_t node = place.node;
  words_[node] &= ~kHasValue;
  if (values_ != nullptr) heap_.store(access_, values_ + words_[node + kValue], kNone);
  if (node == record_->root) return true;
  if (child_count(node) == 1) {
    merge(place.parent, place.index, node);
  } else if (child_count(node) == 0) {
    forget_way(children_of(place.kept)[place.kept_child]);
    remove_child(place.kept, place.kept_child);
    if (place.kept != record_->root && !has_value(place.kept) && child_count(place.kept) == 1) {
      merge(place.kept_parent, place.kept_index, place.kept);
    }
  }
  return true;
}

void Trie::clear() {
  record_->root = record_->count = record_->used = record_->live = 0;
  record_->log_used = record_->log_live = record_->value_used = 0;
  replace_array(heap_, access_, &record_->nodes, kNone);
  replace_array(heap_, access_, &record_->values, kNone);
  replace_array(heap_, access_, &record_->log, kNone);
  look_up();
}

// --- building anew --------------------------------------------------------------------------

bool Trie::rebuild(const Need& need, bool spare) {
  const auto room = [&](size_t live, size_t more) {
    return spare ? grown(live + more) : live + more;
  };
  const size_t words = room(record_->live, need.words) + kFirstNode;
  const size_t bytes = room(record_->log_live, need.bytes);
  const size_t values = room(record_->count, need.values);
  if (words > UINT32_MAX || bytes > UINT32_MAX || values > UINT32_MAX) return false;
  TemporaryRoot new_nodes(heap_, access_);
  TemporaryRoot new_values(heap_, access_);
  TemporaryRoot new_log(heap_, access_);
  if (!new_nodes.hold(make_scalars(heap_, access_, words * sizeof(uint32_t))) ||
      !new_log.hold(make_scalars(heap_, access_, bytes))) {
    return false;
  }
  if (is_reference(kind_) &&
      !new_values.hold(make_references(heap_, access_, static_cast<uint32_t>(values)))) {
    return false;
  }

  // Breadth first: copied nodes wait in the new words for their children to be copied behind them.
  TrieRecord fresh = {};
  Trie to(*this);
  to.record_ = &fresh;
  to.words_ = reinterpret_cast<uint32_t*>(scalars_of(heap_, new_nodes.get()));
  to.values_ = references_of(heap_, new_values.get());
  to.log_ = scalars_of(heap_, new_log.get());
  fresh.used = kFirstNode;
  fresh.count = record_->count;
  const auto copy = [&](uint32_t node) {
    const uint32_t copied = to.make_node(words_[node]);
    std::memcpy(to.words_ + copied, words_ + node, words_for(words_[node]) * sizeof *words_);
    to.append_label(copied, label_of(node));
    if (values_ != nullptr && has_value(node)) {
      heap_.store(access_, to.values_ + fresh.value_used, reference_at(node));
      to.words_[copied + kValue] = fresh.value_used++;
    }
    return copied;
  };
  if (record_->root != 0) fresh.root = copy(record_->root);
  uint32_t done = 0;
  for (uint32_t node = kFirstNode; node < fresh.used; node += words_for(to.words_[node])) {
    if (++done % kPollEntries == 0) heap_.poll(access_);
    uint32_t* const children = to.children_of(node);
    for (uint32_t i = 0; i < to.child_count(node); ++i) children[i] = copy(children[i]);
  }

  std::memcpy(reinterpret_cast<char*>(record_) + offsetof(TrieRecord, root), &fresh.root,
              sizeof(TrieRecord) - offsetof(TrieRecord, root));
  replace_array(heap_, access_, &record_->nodes, new_nodes.get());
  replace_array(heap_, access_, &record_->values, new_values.get());
  replace_array(heap_, access_, &record_->log, new_log.get());
  look_up();
  return true;
}

// --- checking -------------------------------------------------------------------------------

void Trie::verify() const {
  // Found through their words, not through each other, nodes that are no longer in the trie are met
  // as well; so this counts along the edges, with the order of keys as its stack.
  struct Path {
    char* data;
    size_t used = 0;
    size_t most;
    void append(const char* from, size_t length) {
      TRI_CHECK(used + length <= most);
      if (length != 0) std::memcpy(data + used, from, length);
      used += length;
    }
    void truncate(size_t length) { used = length; }
    size_t length() const { return used; }
  };
  constexpr size_t kMostKey = 4096;
  char previous[kMostKey];
  char buffer[kMostKey];
  Path path{buffer, 0, sizeof buffer};
  uint32_t count = 0;
  uint32_t node = next(key_of("", 0), true, path);
  for (; node != kNoSlot; ++count) {
    const auto length = static_cast<uint32_t>(path.length());
    std::memcpy(previous, buffer, length);
    TRI_CHECK_EQ(find(key_of(previous, length)), node);
    node = next(key_of(previous, length), false, path);
  }
  TRI_CHECK_EQ(count, record_->count);
  TRI_CHECK(record_->live <= record_->used);
  TRI_CHECK(record_->log_live <= record_->log_used);
}

}  // namespace tri::collected
