#include "engine/pages/free_spans.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tests/engine/support/expect.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri {
namespace {

using testing::Random;

struct FreeSpan : Span {
  FreeSpan(PageId begin, Pages length) {
    first = begin;
    pages = length;
  }
};

CASE(AnEmptySetHasNothing) {
  const FreeSpans spans;
  CHECK(spans.best_fit(1) == nullptr && spans.best_fit(1000) == nullptr);
  CHECK(spans.largest() == nullptr);
}

CASE(TakesTheSmallestRunThatFits) {
  FreeSpans spans;
  FreeSpan list[] = {{0, 3}, {10, 64}, {100, 127}, {300, 128}, {500, 129}, {1000, 5000}};
  for (Span& span : list) spans.insert(&span);
  for (Pages wanted = 1; wanted <= 5000; ++wanted) {
    const Span* expected = std::find_if(std::begin(list), std::end(list),
                                        [&](const Span& span) { return span.pages >= wanted; });
    CHECK(spans.best_fit(wanted) == expected);
  }
  CHECK(spans.best_fit(5001) == nullptr);
}

CASE(TakesTheLowestAddressAmongEquals) {
  for (Pages pages : {1u, 63u, 64u, 127u, 128u, 4000u}) {
    FreeSpans spans;
    FreeSpan list[] = {{90000, pages}, {10000, pages}, {50000, pages}};
    for (Span& span : list) spans.insert(&span);
    CHECK(spans.best_fit(pages) == &list[1]);
    spans.remove(&list[1]);
    CHECK(spans.best_fit(pages) == &list[2]);
  }
}

CASE(TheLargestIsTheLongestRun) {
  FreeSpans spans;
  FreeSpan list[] = {{0, 5}, {10, 70}, {100, 127}, {300, 128}};
  for (Span& span : list) {
    spans.insert(&span);
    CHECK(spans.largest() == &span);
  }
}

CASE(WalksManyInOrder) {
  FreeSpans set;
  std::vector<std::unique_ptr<FreeSpan>> spans;
  for (PageId i = 0; i < 5000; ++i) {  // inserted in rising order: the worst for a plain tree
    spans.push_back(std::make_unique<FreeSpan>(i * 300, 128 + i % 100));
    set.insert(spans.back().get());
  }
  std::pair<Pages, PageId> before{0, 0};
  size_t count = 0;
  set.for_each([&](const Span& span) {
    CHECK(before < std::pair(span.pages, span.first));
    before = {span.pages, span.first};
    ++count;
  });
  CHECK_EQ(count, spans.size());
}

unsigned depth_of(const Span* node) {
  return node == nullptr ? 0 : 1 + std::max(depth_of(node->left), depth_of(node->right));
}

CASE(StaysShallowWhateverTheOrder) {
  FreeSpans set;
  std::vector<std::unique_ptr<FreeSpan>> spans;
  constexpr PageId kSpans = 1 << 14;
  for (PageId i = 0; i < kSpans; ++i) {
    spans.push_back(std::make_unique<FreeSpan>(i * 300, 200));
    set.insert(spans.back().get());
  }
  unsigned deepest = 0;
  for (const auto& span : spans) {  // one of them is the root
    deepest = std::max(deepest, depth_of(span.get()));
    if (deepest > 60) break;
  }
  CHECK_LE(deepest, 60u);  // 14 at the least, some 35 expected
}

CASE(AgreesWithASortedSetUnderRandomOperations) {
  const uint64_t seed = testing::seed_of_this_run();
  Random random(seed);
  FreeSpans spans;
  std::set<std::pair<Pages, PageId>> model;
  std::vector<std::unique_ptr<FreeSpan>> in, out;
  for (PageId i = 0; i < 600; ++i) out.push_back(std::make_unique<FreeSpan>(i * 1000, 0));
  for (int step = 0; step < 20000; ++step) {
    auto& from = random.one_in(2) ? in : out;
    if (!from.empty()) {
      auto& to = &from == &in ? out : in;
      std::swap(from[random.below(static_cast<uint32_t>(from.size()))], from.back());
      Span* span = from.back().get();
      if (&from == &in) {
        spans.remove(span);
        model.erase({span->pages, span->first});
      } else {
        span->pages = random.one_in(2) ? random.between(1, 20) : random.between(1, 1000);
        spans.insert(span);
        model.insert({span->pages, span->first});
      }
      to.push_back(std::move(from.back()));
      from.pop_back();
    }
    const Pages wanted = random.between(1, 1001);
    const auto expected = model.lower_bound({wanted, 0});
    const Span* found = spans.best_fit(wanted);
    CHECK((found == nullptr) == (expected == model.end()));
    if (found != nullptr) CHECK(std::pair(found->pages, found->first) == *expected);
    if (!model.empty()) CHECK_EQ(spans.largest()->pages, model.rbegin()->first);
  }
}

// 16 bins for each doubling from 128 pages on.
Pages shortest_of_bin(Pages pages) {
  Pages step = 1;
  while (pages / step >= 32 && pages >= 128) step *= 2;
  return pages - pages % step;
}

// A span may become what keeps it between the same neighbours, and the walk stays in order.
CASE(KnowsWhichChangesLeaveASpanWhereItIs) {
  Random random(testing::seed_of_this_run());
  FreeSpans spans;
  std::vector<std::unique_ptr<FreeSpan>> list;
  std::set<std::pair<Pages, PageId>> model;
  for (PageId i = 0; i < 50; ++i) {
    const Pages pages = random.between(100, 400);
    list.push_back(std::make_unique<FreeSpan>(i * 1000, pages));
    spans.insert(list.back().get());
    model.insert({pages, i * 1000});
  }
  int kept = 0;
  for (int step = 0; step < 20000; ++step) {
    Span* span = list[random.below(50)].get();
    const Pages pages = span->pages + random.between(0, 20) - 10;
    const PageId first = span->first + random.between(0, 4) - std::min(2u, span->first % 1000);
    auto others = model;
    others.erase({span->pages, span->first});
    const auto old_next = others.upper_bound({span->pages, span->first});
    const bool stays = old_next == others.upper_bound({pages, first}) &&
                       shortest_of_bin(pages) == shortest_of_bin(span->pages);
    CHECK_EQ(spans.keeps_place(span, first, pages), stays);
    if (!stays) continue;
    ++kept;
    model.erase({span->pages, span->first});
    model.insert({pages, first});
    span->pages = pages;
    span->first = first;
    auto next = model.begin();
    spans.for_each([&](const Span& seen) {
      CHECK(std::pair(seen.pages, seen.first) == *next);
      ++next;
    });
  }
  CHECK(kept > 1000);
}

}  // namespace
}  // namespace tri
