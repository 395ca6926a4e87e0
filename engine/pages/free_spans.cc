#include "engine/pages/free_spans.h"

#include "engine/base/check.h"

namespace tri {
namespace {

// By length, then by address: one number, in memory as well.
uint64_t key(PageId first, Pages pages) { return uint64_t{pages} << 32 | first; }
uint64_t key(const Span* span) { return key(span->first, span->pages); }

bool before(const Span* a, const Span* b) { return key(a) < key(b); }

// --- one tree ---------------------------------------------------------------------------------

void insert_into(Span** root, Span* span) {
  Span** link = root;
  while (*link != nullptr && (*link)->priority >= span->priority) {
    link = before(span, *link) ? &(*link)->left : &(*link)->right;
  }
  // Everything under `link` has a lower priority: split it around the key.
  Span* rest = *link;
  *link = span;
  Span** smaller = &span->left;
  Span** larger = &span->right;
  while (rest != nullptr) {
    if (before(rest, span)) {
      *smaller = rest;
      smaller = &rest->right;
      rest = rest->right;
    } else {
      *larger = rest;
      larger = &rest->left;
      rest = rest->left;
    }
  }
  *smaller = *larger = nullptr;
}

void remove_from(Span** root, Span* span) {
  Span** link = root;
  while (*link != span) {
    TRI_CHECK(*link != nullptr);
    link = before(span, *link) ? &(*link)->left : &(*link)->right;
  }
  // Merge its two subtrees in its place.
  Span* a = span->left;
  Span* b = span->right;
  while (a != nullptr && b != nullptr) {
    if (a->priority >= b->priority) {
      *link = a;
      link = &a->right;
      a = a->right;
    } else {
      *link = b;
      link = &b->left;
      b = b->left;
    }
  }
  *link = a != nullptr ? a : b;
  span->left = span->right = nullptr;
}

Span* best_fit_in(Span* root, Pages pages) {
  Span* best = nullptr;
  for (Span* node = root; node != nullptr;) {
    if (node->pages >= pages) {
      best = node;
      node = node->left;
    } else {
      node = node->right;
    }
  }
  return best;
}

Span* largest_in(Span* root) {
  while (root->right != nullptr) root = root->right;
  return root;
}

}  // namespace

// --- the set ----------------------------------------------------------------------------------

void FreeSpans::insert(Span* span) {
  static_assert(bin_of(kExactBins - 1) + 1 == bin_of(kExactBins));
  static_assert(bin_of(UINT32_MAX) == kBins - 1);
  TRI_ASSERT(span->pages != 0);
  const unsigned bin = bin_of(span->pages);
  insert_into(&bins_[bin], span);
  occupied_[bin / 64] |= uint64_t{1} << (bin % 64);
}

void FreeSpans::remove(Span* span) {
  const unsigned bin = bin_of(span->pages);
  remove_from(&bins_[bin], span);
  if (bins_[bin] == nullptr) occupied_[bin / 64] &= ~(uint64_t{1} << (bin % 64));
}

bool FreeSpans::keeps_place(const Span* span, PageId first, Pages pages) const {
  const unsigned bin = bin_of(pages);
  if (bin != bin_of(span->pages)) return false;
  // Its neighbours in the order: of those above it, and of those below.
  const Span* smaller = nullptr;
  const Span* larger = nullptr;
  for (const Span* node = bins_[bin]; node != span;) {
    const bool left = before(span, node);
    (left ? larger : smaller) = node;
    node = left ? node->left : node->right;
  }
  for (const Span* node = span->left; node != nullptr; node = node->right) smaller = node;
  for (const Span* node = span->right; node != nullptr; node = node->left) larger = node;
  const uint64_t wanted = key(first, pages);
  return (smaller == nullptr || key(smaller) < wanted) &&
         (larger == nullptr || wanted < key(larger));
}

Span* FreeSpans::best_fit(Pages pages) const {
  unsigned bin = bin_of(pages);
  if (bin >= kExactBins) {
    // Of its own bin some may be too short; of those behind it none is.
    if (Span* span = best_fit_in(bins_[bin], pages)) return span;
    if (++bin == kBins) return nullptr;
  }
  unsigned word = bin / 64;
  uint64_t candidates = occupied_[word] & ~low_bits(bin % 64);
  while (candidates == 0) {
    if (++word == kWords) return nullptr;
    candidates = occupied_[word];
  }
  return best_fit_in(bins_[word * 64 + lowest_bit(candidates)], pages);
}

Span* FreeSpans::largest() const {
  for (unsigned word = kWords; word-- != 0;) {
    if (occupied_[word] != 0) return largest_in(bins_[word * 64 + highest_bit(occupied_[word])]);
  }
  return nullptr;
}

}  // namespace tri
