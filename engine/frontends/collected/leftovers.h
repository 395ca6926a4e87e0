// What a program that frees by hand wants to know, found by looking at all records beside it:
//
//   dangling references   fields of live records that name one which has been freed; a place that
//                         has been used again cannot be told from one that has not
//   leaks                 records that nothing reaches and nobody has freed
//
// Both look record by record while others may change them: what changes meanwhile may be missed,
// and a record that moves from a place not yet walked to one walked already may count as leaked.
#pragma once

#include "engine/frontends/collected/whole_graph.h"

namespace tri::collected {

struct DanglingReference {
  Reference holder = kNone;  // kNone: there is none
  uint32_t offset = 0;       // in the holder, of the field or element
};
// The caller holds no processor.
DanglingReference find_dangling(CollectedHeap& heap);

class Leaks {
 public:
  // Leaked records of each type that are kept as examples.
  static constexpr uint32_t kExamples = 10;
  struct OfKind {
    uint64_t records = 0;
    uint64_t granules = 0;
    Reference examples[kExamples] = {};
  };

  // Walks; then `compare` looks at what was not reached. False: no memory.
  bool start(Access& access) { return walk_.start(access, kNone, nullptr); }
  Traversal::Status run(Access& access, uint32_t steps) { return walk_.run(access, steps); }
  // What freeze() has made permanent is to be walked too, then run() goes on.
  bool add_permanent(Access& access) { return walk_.add_permanent(access); }
  // The caller holds no processor. False: no memory.
  bool compare(CollectedHeap& heap);
  void finish(Access& access);

  uint32_t reached() const { return walk_.reached(); }
  const OfKind& of_kind(PageKind kind) const { return kinds_[kind]; }
  // They are kept until this is finished.
  uint32_t example_count() const { return examples_.count(); }
  Reference example(uint32_t i) const { return examples_[i]; }

 private:
  void look(Access& access);
  void note(const CollectedHeap& heap, Reference record, PageKind kind);
  bool root_examples(Access& access);

  PathFromRoots walk_;
  RootedList examples_;
  OfKind kinds_[256];
};

}  // namespace tri::collected
