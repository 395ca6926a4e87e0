/* The background thread goes to sleep while others free pages: whoever announces must be heard.
 *
 * Follows engine/frontends/malloc: background.cc (Background::run, wake, note_activity), engine.cc
 * (deallocate_slow); engine/platform/lock.h (acquire, release, futex_wait).
 *
 * Proved    served: pages that are free are released in the end, although nobody frees any more;
 *           safe: nothing waits for ever but a thread that has nothing to do.
 * Assumed   the stores of each thread wait in a buffer of its own, in order, until an atomic
 *           read-modify-write or a system call, or for as long as they like: x86 (TSO).
 * Not seen  C11 allows more: the release in Lock::release() does not order the relaxed load of
 *           `state_` in wake() behind the free. x86's exchange does, and so do Arm's barriers
 *           wherever the lock is contended; on a weaker machine wake() would need a fence.
 * World     two threads that free, one page each, and the background thread.
 * Left out  hold() and the fork, the ticks of a thread that runs, pools, what caches hold.
 *
 * Checks, each a property and how the model is compiled for it:
 *   safe
 *   served
 *
 * Broken variants, each with the check that must fail:
 *   BROKEN_NO_SECOND_LOOK     served  the thread sleeps on what it saw before it said so
 *   BROKEN_SLEEPS_UNCHECKED   served  futex_wait() does not compare
 *   BROKEN_ANNOUNCES_BEFORE   served  a free is announced by note_activity() alone, before it
 *   BROKEN_PLAIN_RELEASE      served  a lock is released by a store that may wait in the buffer
 *   BROKEN_PLAIN_SLEEP        served  the thread says by such a store that it sleeps
 */
#define FREERS 2
#define BACKGROUND 2

mtype = { PAGES, LOCK, STATE };
mtype = { RUNNING, SLEEPING };

byte pages;              /* what free_resident_glance() says */
byte lock;               /* of the page heap */
byte state = RUNNING;    /* Background::state_ */
bool in_futex;           /* the thread sleeps in the kernel */
chan buffer[3] = [2] of { byte, byte };

#define fence(me) empty(buffer[me])

/* Stores leave a buffer in order, whenever they like. */
proctype Buffer(byte me) {
  byte what, value;
end_empty:
  do
  :: atomic {
       buffer[me] ? what, value ->
       if
       :: what == PAGES -> pages = value
       :: what == LOCK -> lock = value
       :: what == STATE -> state = value
       fi;
       what = 0; value = 0
     }
  od
}

inline acquire(me) { atomic { fence(me) && lock == 0 -> lock = 1 } }
inline release(me) {
#ifdef BROKEN_PLAIN_RELEASE
  buffer[me] ! LOCK, 0
#else
  atomic { fence(me) -> lock = 0 } /* an exchange */
#endif
}

/* wake(): a load, then a compare-and-swap, then the system call. */
inline wake(me) {
  if
  :: state == SLEEPING ->
     atomic {
       fence(me) ->
       if :: state == SLEEPING -> state = RUNNING :: else -> goto woken fi
     }
     in_futex = false
  :: else
  fi;
woken:
  skip
}

/* PageHeap::free(), and what deallocate_slow() does around it. */
proctype Freer(byte me) {
  byte seen;
#ifdef BROKEN_ANNOUNCES_BEFORE
  wake(me); /* note_activity() */
#endif
  acquire(me);
  seen = pages;
  buffer[me] ! PAGES, seen + 1;
  release(me);
#ifndef BROKEN_ANNOUNCES_BEFORE
  wake(me)
#endif
}

/* run() */
active proctype Background() {
  atomic {
    run Freer(0); run Freer(1);
    run Buffer(0); run Buffer(1); run Buffer(BACKGROUND)
  }
end_asleep:
  do
  :: state == RUNNING -> /* Scavenger::look() */
     acquire(BACKGROUND);
     buffer[BACKGROUND] ! PAGES, 0;
     atomic { fence(BACKGROUND) -> lock = 0 }
     /* nothing left */
#ifdef BROKEN_PLAIN_SLEEP
     buffer[BACKGROUND] ! STATE, SLEEPING;
#else
     atomic { fence(BACKGROUND) && state == RUNNING -> state = SLEEPING }
#endif
#ifndef BROKEN_NO_SECOND_LOOK
     if
     :: pages != 0 -> /* missed */
        atomic { fence(BACKGROUND) -> state = RUNNING }
        goto end_asleep
     :: else
     fi;
#endif
     atomic { /* futex_wait(&state_, kSleeping) */
       fence(BACKGROUND) ->
#ifdef BROKEN_SLEEPS_UNCHECKED
       in_futex = true
#else
       if :: state == SLEEPING -> in_futex = true :: else fi
#endif
     }
end_in_futex:
     !in_futex
  od
}

ltl served { [] (pages != 0 -> <> (pages == 0)) }
