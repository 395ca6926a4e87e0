// CPython's own allocators, put on this engine before the interpreter starts.
//
//   full:  the object and the "mem" domain come straight to our malloc: every Python object lies in
//          its size class, and pymalloc is idle
//   arena: pymalloc stays; the arenas that it cuts its pools from come from our page heap
//
// Both are set from the preloaded library's constructor, when no interpreter exists, so no block of
// another allocator is ever seen by ours (PEP 445 asks for exactly that).
#pragma once

#include "engine/frontends/malloc/settings.h"

namespace tri {

// Hooks what `mode` says, if the process has a CPython whose allocators may be replaced: not when
// PYTHONMALLOC asks for another, not in free-threaded builds (their collector walks mimalloc's
// heaps).
void hook_python(Mode mode);

// Whether there is a CPython that warns its program, right after a fork, when the process has other
// threads: from 3.12 on (Modules/posixmodule.c, warn_about_fork_with_threads).
bool python_minds_threads();

// "full", "arena" or "malloc": what has been hooked.
const char* hooked_mode();

}  // namespace tri
