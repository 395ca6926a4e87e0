// Random operations on a page heap beside a model that is an array of pages: which run is taken,
// what is resident, what may grow where, what reads as zero. The model knows nothing of trees or
// bins.
#include <algorithm>
#include <cstring>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/engine/support/heap.h"
#include "tests/engine/support/random.h"
#include "tests/support/cases.h"

namespace tri::testing {
namespace {

struct Run {
  PageId first;
  Pages pages;
  bool resident;  // at least one of its pages
};

class PageModel {
 public:
  explicit PageModel(SmallHeap& heap) : heap_(heap), pages_(heap.arena.max_pages()) {}

  void note_growth() {
    // What is new has no memory behind it.
    committed_ = heap_.arena.committed_pages();
  }
  std::vector<Run> free_runs() const {
    std::vector<Run> runs;
    for (PageId page = 0; page < committed_; ++page) {
      if (pages_[page].used) continue;
      if (runs.empty() || runs.back().first + runs.back().pages != page)
        runs.push_back({page, 0, false});
      ++runs.back().pages;
      runs.back().resident |= pages_[page].resident;
    }
    return runs;
  }
  // Where a best fit for `pages` lies: resident runs first, the shortest, the lowest.
  std::optional<Run> best_fit(Pages pages) const {
    std::optional<Run> best;
    for (const Run& run : free_runs()) {
      if (run.pages < pages) continue;
      const auto key = [](const Run& r) { return std::tuple(!r.resident, r.pages, r.first); };
      if (!best || key(run) < key(*best)) best = run;
    }
    return best;
  }
  // Free pages, and those that blocks may grow into.
  Pages free_and_reserved() const {
    return static_cast<Pages>(
        std::count_if(pages_.begin(), pages_.begin() + committed_,
                      [](const Page& page) { return !page.used || !page.resident; }));
  }
  Pages free_behind(PageId page) const {
    Pages count = 0;
    while (page + count < committed_ && !pages_[page + count].used) ++count;
    return count;
  }
  bool any_resident(PageId first, Pages count) const {
    return std::any_of(pages_.begin() + first, pages_.begin() + first + count,
                       [](const Page& page) { return page.resident; });
  }
  void take(PageId first, Pages count) {
    for (PageId page = first; page < first + count; ++page) {
      CHECK(!pages_[page].used);  // handed out twice
      pages_[page] = {true, true};
    }
  }
  void reserve(PageId first, Pages count) {
    for (PageId page = first; page < first + count; ++page) {
      CHECK(!pages_[page].used);
      CHECK(!pages_[page].resident);  // head-room has never been touched
      pages_[page].used = true;
    }
  }
  void use_reserved(PageId first, Pages count) {
    for (PageId page = first; page < first + count; ++page) pages_[page].resident = true;
  }
  void give(PageId first, Pages count) {
    for (PageId page = first; page < first + count; ++page) {
      CHECK(pages_[page].used);
      pages_[page].used = false;
    }
  }
  // What the operating system was told to take back. Returns how many pages that emptied.
  Pages note_releases() {
    Pages emptied = 0;
    for (const Range& range : heap_.os.take_released()) {
      if (range.begin < heap_.arena.base()) {  // bits, of pages that are nobody's
        const auto end = static_cast<size_t>(heap_.arena.base() - range.begin);
        for (size_t at = end - range.bytes; at < end; at += kBitmapBytesPerPage) {
          CHECK(!pages_[at / kBitmapBytesPerPage].used);
        }
        continue;
      }
      const PageId first = heap_.arena.page_of(range.begin);
      for (PageId page = first; page < first + (range.bytes >> kPageShift); ++page) {
        CHECK(!pages_[page].used);
        emptied += pages_[page].resident;
        pages_[page].resident = false;
      }
    }
    return emptied;
  }
  Pages resident() const {
    return static_cast<Pages>(std::count_if(pages_.begin(), pages_.end(),
                                            [](const Page& page) { return page.resident; }));
  }

 private:
  struct Page {
    bool used = false;
    bool resident = false;
  };
  SmallHeap& heap_;
  std::vector<Page> pages_;
  PageId committed_ = 0;
};

class Play {
 public:
  explicit Play(uint64_t seed) : random_(seed), model_(heap_) {}

  void step() {
    switch (random_.below(16)) {
      case 0 ... 5:
        return allocate(random_.one_in(3) ? random_.between(1, 300) : random_.between(1, 20));
      case 6:
        return allocate_aligned(random_.between(1, 30), kPageBytes << random_.between(1, 6));
      case 7:
        return allocate_growing(random_.between(1, 60));
      case 8 ... 11:
        return with_any_block(&Play::free);
      case 12 ... 13:
        return with_any_block(&Play::extend);
      case 14:
        return with_any_block(&Play::shrink);
      default:
        return release(random_.between(1, 200));
    }
  }
  void check() {
    heap_.page_heap.verify();
    CHECK_EQ(heap_.page_heap.resident_pages(), model_.resident());
    for (const Block& block : blocks_) CHECK_EQ(*mark_of(block.span), block.mark);
  }
  void free_everything() {
    while (!blocks_.empty()) free(blocks_.size() - 1);
    CHECK_EQ(model_.free_runs().size(), 1u);
  }

 private:
  struct Block {
    Span* span;
    uint64_t mark;
    Pages headroom;
  };
  uint64_t* mark_of(const Span* span) {
    return reinterpret_cast<uint64_t*>(heap_.address_of(span));
  }
  void with_any_block(void (Play::*operation)(size_t)) {
    if (!blocks_.empty()) (this->*operation)(random_.below(static_cast<uint32_t>(blocks_.size())));
  }
  void keep(Span* span, Pages pages) {
    CHECK_EQ(span->pages, pages);
    CHECK_EQ(span->zero, !model_.any_resident(span->first, pages));
    if (span->zero) CHECK_EQ(*mark_of(span), 0u);
    model_.take(span->first, pages);
    blocks_.push_back({span, *mark_of(span) = random_.next(), span->headroom});
  }
  // After a request. Where there was nothing else for it, all head-room may have been taken back.
  void note_growth(bool fitted) {
    model_.note_growth();
    for (Block& block : blocks_) {
      if (block.headroom == block.span->headroom) continue;
      CHECK(!fitted);
      CHECK_EQ(block.span->headroom, 0u);
      model_.give(block.span->end(), std::exchange(block.headroom, 0));
    }
  }

  void allocate(Pages pages) {
    const std::optional<Run> expected = model_.best_fit(pages);
    Span* span = heap_.page_heap.allocate(pages);
    note_growth(expected.has_value());
    if (expected) {
      CHECK(span != nullptr);
      CHECK_EQ(span->first, expected->first);
    }
    if (span == nullptr) {
      CHECK(!model_.best_fit(pages));
      CHECK(heap_.page_heap.counters().headroom == 0 || pages > model_.free_and_reserved());
    } else {
      keep(span, pages);
    }
  }
  void allocate_aligned(Pages pages, size_t alignment) {
    const Pages at_worst = pages + static_cast<Pages>(alignment >> kPageShift) - 1;
    const bool fitted = model_.best_fit(at_worst).has_value();
    Span* span = heap_.page_heap.allocate_aligned(pages, alignment);
    note_growth(fitted);
    if (span == nullptr) return;
    CHECK_EQ(reinterpret_cast<uintptr_t>(heap_.address_of(span)) % alignment, 0u);
    keep(span, pages);
  }
  void allocate_growing(Pages pages) {
    const bool fitted = model_.best_fit(pages).has_value();
    Span* span = heap_.page_heap.allocate_growing(pages);
    note_growth(fitted);
    if (span == nullptr) {
      CHECK(!model_.best_fit(pages));
      return;
    }
    const Pages headroom = span->headroom;
    CHECK_LE(headroom, pages);
    keep(span, pages);
    model_.reserve(span->end(), headroom);
  }
  void free(size_t index) {
    Span* span = blocks_[index].span;
    CHECK_EQ(*mark_of(span), blocks_[index].mark);
    model_.give(span->first, span->pages + span->headroom);
    heap_.page_heap.free(span);
    blocks_[index] = blocks_.back();
    blocks_.pop_back();
  }
  void extend(size_t index) {
    Span* span = blocks_[index].span;
    const Pages before = span->pages;
    const Pages headroom = span->headroom;
    const Pages wanted = before + random_.between(1, 50);
    const Pages reachable = before + headroom + model_.free_behind(span->end() + headroom);
    const bool extended = heap_.page_heap.extend(span, wanted, 0);
    model_.note_growth();
    CHECK_EQ(span->pages, extended ? wanted : before);
    if (wanted <= reachable) CHECK(extended);
    if (!extended) return;
    const Pages inside = std::min(wanted - before, headroom);
    CHECK_EQ(span->headroom, headroom - inside);
    blocks_[index].headroom = span->headroom;
    model_.use_reserved(span->first + before, inside);
    model_.take(span->first + before + inside, wanted - before - inside);
  }
  void shrink(size_t index) {
    Span* span = blocks_[index].span;
    if (span->pages == 1) return;
    const Pages before = span->pages + span->headroom;
    const Pages wanted = random_.between(1, span->pages - 1);
    heap_.page_heap.shrink(span, wanted, 0);
    CHECK_EQ(span->pages, wanted);
    CHECK_EQ(span->headroom, 0u);
    blocks_[index].headroom = 0;
    model_.give(span->first + wanted, before - wanted);
    model_.note_releases();  // nothing here was ever written
  }
  void release(Pages pages) {
    const size_t released = heap_.page_heap.release(pages);
    CHECK_EQ(released, model_.note_releases());
    if (released < pages) CHECK_EQ(heap_.page_heap.counters().free_resident, 0u);
  }

  Random random_;
  SmallHeap heap_;
  PageModel model_;
  std::vector<Block> blocks_;
};

CASE(AgreesWithAnArrayOfPages) {
  const uint64_t seed = seed_of_this_run();
  for (uint64_t round = 0; round < 20; ++round) {
    Play play(seed + round);
    for (int i = 0; i < 500; ++i) {
      play.step();
      play.check();
    }
    play.free_everything();
    play.check();
  }
}

}  // namespace
}  // namespace tri::testing
