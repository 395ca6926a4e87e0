// Turns of frees by hand and bulk work (engine/frontends/collected/turns.h), waited for without the
// GIL. Within a turn no Python code may run, as within an Access: it might want the other one.
#ifndef TRIMALLOC_BINDINGS_COLLECTED_TURN_H_
#define TRIMALLOC_BINDINGS_COLLECTED_TURN_H_

#include "bindings/collected/state.h"  // Python.h first
#include "engine/frontends/collected/turns.h"

namespace trimalloc::bindings {

using tri::collected::Turns;

// False after it had to wait: the caller looks at everything again that Python code may change.
inline bool begin_turn_unless_waited(Turns& turns, Turns::Side side) {
  if (turns.begin(side)) return true;
  Py_BEGIN_ALLOW_THREADS turns.wait(side);
  Py_END_ALLOW_THREADS return false;
}

inline void begin_turn(Turns& turns, Turns::Side side) {
  while (!begin_turn_unless_waited(turns, side)) {
  }
}

}  // namespace trimalloc::bindings

#endif  // TRIMALLOC_BINDINGS_COLLECTED_TURN_H_
