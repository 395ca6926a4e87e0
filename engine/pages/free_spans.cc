#include "engine/pages/free_spans.h"

#include "engine/base/check.h"

namespace tri {
namespace {

// By length, then by address: one number, in memory as well.
uint64_t key(PageId first, Pages pages) { return uint64_t{pages} << 32 | first; }
uint64_t key(const Span* span) { return key(span->first, span->pages); }

bool before(const Span* a, const Span* b) { return key(a) < key(b); }

}  // namespace

void SpanTree::insert(Span* span) {
  Span** link = &root_;
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

void SpanTree::remove(Span* span) {
  Span** link = &root_;
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

bool SpanTree::keeps_place(const Span* span, PageId first, Pages pages) const {
  // Its neighbours in the order: of those above it, and of those below.
  const Span* smaller = nullptr;
  const Span* larger = nullptr;
  for (const Span* node = root_; node != span;) {
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

Span* SpanTree::best_fit(Pages pages) const {
  Span* best = nullptr;
  for (Span* node = root_; node != nullptr;) {
    if (node->pages >= pages) {
      best = node;
      node = node->left;
    } else {
      node = node->right;
    }
  }
  return best;
}

Span* SpanTree::largest() const {
  Span* node = root_;
  while (node != nullptr && node->right != nullptr) node = node->right;
  return node;
}

void FreeSpans::insert(Span* span) {
  TRI_ASSERT(span->pages != 0);
  if (span->pages >= kBins) {
    large_.insert(span);
    return;
  }
  bins_[span->pages].insert(span);
  occupied_[span->pages / 64] |= uint64_t{1} << (span->pages % 64);
}

void FreeSpans::remove(Span* span) {
  if (span->pages >= kBins) {
    large_.remove(span);
    return;
  }
  SpanTree& bin = bins_[span->pages];
  bin.remove(span);
  if (bin.empty()) occupied_[span->pages / 64] &= ~(uint64_t{1} << (span->pages % 64));
}

Span* FreeSpans::best_fit(Pages pages) const {
  if (pages < kBins) {
    unsigned word = pages / 64;
    uint64_t candidates = occupied_[word] & ~low_bits(pages % 64);
    if (candidates == 0 && word == 0) candidates = occupied_[word = 1];
    if (candidates != 0) return bins_[word * 64 + lowest_bit(candidates)].best_fit(pages);
  }
  return large_.best_fit(pages);
}

Span* FreeSpans::largest() const {
  if (!large_.empty()) return large_.largest();
  for (unsigned word = kBins / 64; word-- != 0;) {
    if (occupied_[word] != 0) return bins_[word * 64 + highest_bit(occupied_[word])].largest();
  }
  return nullptr;
}

}  // namespace tri
