// A turn of frees by hand (turns.h) for a caller from C, who holds a processor. Nobody waits for
// bulk work with one: it is given back meanwhile.
#pragma once

#include "engine/frontends/collected/c_access.h"
#include "engine/frontends/collected/containers/arrays.h"

namespace tri::collected {

class FreesTurn {
 public:
  explicit FreesTurn(trimalloc_access* access) : access_(access) {}
  ~FreesTurn() {
    if (has_it_) turns().end(Turns::kFrees);
  }
  FreesTurn(const FreesTurn&) = delete;
  FreesTurn& operator=(const FreesTurn&) = delete;

  // What is about to be freed is rooted.
  void begin() {
    while (!try_begin()) wait();
  }
  // What is about to be freed, `record`, may have no other root. False when there is no memory for
  // one, or it is not live.
  bool begin(Reference record) {
    while (!try_begin()) {
      TemporaryRoot kept(heap_of(access_), held(access_));
      if (!heap_of(access_).is_live(record) || !kept.hold(record)) return false;
      wait();
    }
    return true;
  }

 private:
  Turns& turns() const { return heap_of(access_).turns(); }
  bool try_begin() { return has_it_ = turns().begin(Turns::kFrees); }
  void wait() {
    heap_of(access_).outside(held(access_), [this] { turns().wait(Turns::kFrees); });
    look_up(access_);
  }

  trimalloc_access* access_;
  bool has_it_ = false;
};

}  // namespace tri::collected
