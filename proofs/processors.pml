/* Processors that threads borrow, stops of the world by whoever is inside, and fork.
 *
 * Follows engine/frontends/collected: collected_heap.cc (enter, enter_slow, yield_slow,
 * before_refill, shade_slow), stopping.cc (run_stopped, try_stop_work, do_stop_work,
 * wait_for_world, stop_world, start_world), collector.cc (begin_marking, assist, run_cycle_locked,
 * abandon_marking, start_cycle) and fork.cc; engine/platform/lock.h for futexes.
 *
 * Proved    safe: one thread at a time holds a processor, nobody does while the world is stopped
 *           but who has stopped it, each stop's work is done once, and after it the world goes on;
 *           nothing waits for ever on what never comes, nor does a forked child that collects;
 *           starts: under weak fairness, each stop of the world ends;
 *           wakes: who sleeps because the world is stopped wakes up.
 * World     two processors; two threads in calls, one that collects, and one that forks, for ever.
 * Assumed   memory is sequentially consistent. In C11 terms: `stopping` is advice, what excludes is
 *           the compare-and-swap on `taken`, whose acquire pairs with the release in leave();
 *           `stop_state` hands over `stop_work` by release and acquire, and with it the order of
 *           the two stores into `stopping`, the collector's and that of who starts the world. No
 *           load of one variable has to stay behind a store to another: no store buffer matters.
 *           futex_wait() compares and sleeps in one step, as the kernel does under its lock. The
 *           collector's patience ends: it insists after one attempt, or at once.
 * Left out  marking itself (marking.pml); the thread that a cycle may have of its own, which
 *           differs from a thread that collects in place in nothing that is modelled here; times
 *           (how long one waits is any choice); spinning before a wait.
 *
 * Checks, each a property and how the model is compiled for it:
 *   safe
 *   safe -DFORKS
 *   starts
 *   wakes
 *
 * Broken variants, each with the check that must fail:
 *   BROKEN_NO_SWAP             safe           a processor is tested, then taken
 *   BROKEN_SOME_ARE_ENOUGH     safe           the world counts as stopped with one processor taken
 *   BROKEN_WORK_NOT_OWNED      safe           two may do what the collector wants done
 *   BROKEN_WANTED_FIRST        safe           a stop is wanted before threads are told to help
 *   BROKEN_IDLE_FIRST          safe           the collector goes on before the world does
 *   BROKEN_ASSISTS_UNCHECKED   safe           who assists does not look again under the lock
 *   BROKEN_MARKER_LOCK_FIRST   starts         a stop begins with the marker's lock held
 *   BROKEN_COLLECTS_IN_A_CALL  starts         a thread collects and keeps its processor
 *   BROKEN_PROCESSOR_KEPT      starts         who fails to stop the world keeps what it has taken
 *   BROKEN_NEVER_INSISTS       starts         threads are asked to help and never have to wait
 *   BROKEN_FLAG_NOT_WATCHED    starts         threads enter while they should wait
 *   BROKEN_NO_WAKE             wakes          the world starts and nobody is woken
 *   BROKEN_WAKES_FIRST         wakes          they are woken before the flag is cleared
 *   BROKEN_SLEEPS_UNCHECKED    wakes          futex_wait() does not compare
 *   BROKEN_FORKS_IN_A_CYCLE    safe -DFORKS   fork does not wait for a cycle to end
 *   BROKEN_FORKS_IN_A_CALL     safe -DFORKS   fork does not stop the world
 *   BROKEN_LOCK_LEFT_TO_CHILD  safe -DFORKS   a child keeps the marker's lock as it finds it
 */
#define PROCESSORS 2
#define THREADS 2
#define COLLECTING 2
#define FORKING 3
#define kNobody 255

/* Stopping */
#define kWaitForTheStop 1
#define kHelpToStop 2

mtype = { kStopIdle, kStopWanted, kStopTaken, NOTHING, BEGIN, FINISH };

byte holder[PROCESSORS] = kNobody; /* Processor::taken, and by whom */
byte stopping;                     /* stopping_ */
mtype stop_state = kStopIdle;      /* stop_state_ */
mtype stop_work = NOTHING;         /* stop_work_ */
bool stop_waits_for_marker;        /* stop_waits_for_markers_ */
bool sleeping[THREADS];            /* on its futex */
bool cycle_lock;
bool marker_lock;
bool marking;
bool stopped;  /* somebody has all processors */
bool abandon;  /* abandon_ */
bool is_child; /* what runs is a forked child: it has one thread */

#define acquire(lock) atomic { !lock -> lock = true }
#define release(lock) lock = false
#define is_held_by_others(me) ((holder[0] != kNobody && holder[0] != me) || \
                               (holder[1] != kNobody && holder[1] != me))

/* --- the world ------------------------------------------------------------------------------ */

#define now_stopped(me) atomic { assert(!stopped && !is_held_by_others(me)); stopped = true }

/* stop_world(): for those who keep the world stopped for a while. */
inline stop_world(me) {
  stopping = kWaitForTheStop;
#ifndef BROKEN_FORKS_IN_A_CALL
  atomic { holder[0] == kNobody -> holder[0] = me }
  atomic { holder[1] == kNobody -> holder[1] = me }
  now_stopped(me)
#endif
}

/* futex_wake(&stopping_, INT32_MAX) */
#define wake_all() atomic { sleeping[0] = false; sleeping[1] = false }

inline start_world(me) {
#ifndef BROKEN_FORKS_IN_A_CALL
  atomic { assert(stopped && !is_held_by_others(me)); stopped = false; holder[0] = kNobody }
  holder[1] = kNobody;
#endif
#ifdef BROKEN_WAKES_FIRST
  wake_all();
#endif
  stopping = 0;
#if !defined(BROKEN_WAKES_FIRST) && !defined(BROKEN_NO_WAKE)
  wake_all()
#endif
}

/* do_stop_work(), as begin_marking_stopped() or try_finish_stopped() */
inline do_stop_work(me) {
  atomic {
    assert(stopped && stop_work != NOTHING && !is_held_by_others(me));
    marking = (stop_work == BEGIN);
    stop_work = NOTHING
  }
#ifndef BROKEN_MARKER_LOCK_FIRST
  release(marker_lock)
#endif
}

/* try_stop_work(): a compare-and-swap on the state, then one on each processor. */
inline try_stop_work(me) {
  if
#ifdef BROKEN_WORK_NOT_OWNED
  :: stop_state == kStopWanted ->
     stop_state = kStopTaken;
#else
  :: atomic { stop_state == kStopWanted -> stop_state = kStopTaken }
#endif
     if
     :: atomic { holder[0] == kNobody -> holder[0] = me }
        if
#ifdef BROKEN_SOME_ARE_ENOUGH
        :: true ->
#else
        :: atomic { holder[1] == kNobody -> holder[1] = me }
#endif
           now_stopped(me);
#ifdef BROKEN_MARKER_LOCK_FIRST
           do_stop_work(me);
#else
           if
           :: stop_waits_for_marker -> acquire(marker_lock); do_stop_work(me)
           :: atomic { !stop_waits_for_marker && !marker_lock -> marker_lock = true }
              do_stop_work(me)
           :: !stop_waits_for_marker && marker_lock -> skip
           fi;
#endif
#ifdef BROKEN_IDLE_FIRST
           stop_state = kStopIdle;
           start_world(me)
#else
           start_world(me);
           stop_state = kStopIdle
#endif
#ifndef BROKEN_SOME_ARE_ENOUGH
        :: holder[1] != kNobody ->
           assert(!is_child); /* nobody is there to give it back */
#ifndef BROKEN_PROCESSOR_KEPT
           holder[0] = kNobody;
#endif
           stop_state = kStopWanted
#endif
        fi
     :: holder[0] != kNobody -> assert(!is_child); stop_state = kStopWanted
     fi
  :: stop_state != kStopWanted -> skip
  fi
}

/* run_stopped(): attempts find the marker in another thread's hands once, then wait for it. */
inline run_stopped(me, work) {
  stop_waits_for_marker = false;
#ifdef BROKEN_MARKER_LOCK_FIRST
  acquire(marker_lock);
#endif
  do
  :: stop_work = work;
#ifdef BROKEN_WANTED_FIRST
     stop_state = kStopWanted;
     stopping = kHelpToStop;
#else
     stopping = kHelpToStop;
     stop_state = kStopWanted;
#endif
     do
     :: stop_state == kStopIdle -> break
     :: stop_state != kStopIdle ->
        try_stop_work(me);
#ifndef BROKEN_NEVER_INSISTS
        if
        :: atomic { stopping == kHelpToStop -> stopping = kWaitForTheStop }
        :: stopping != kHelpToStop -> skip
        fi
#endif
     od;
     assert(!stopping);
     if
     :: stop_work == NOTHING -> break
     :: else -> acquire(marker_lock); release(marker_lock); stop_waits_for_marker = true
     fi
  od
#ifdef BROKEN_MARKER_LOCK_FIRST
  ; release(marker_lock)
#endif
}

/* --- borrowing ------------------------------------------------------------------------------ */

/* futex_wait(&stopping_, kWaitForTheStop) */
inline futex_wait(me) {
#ifdef BROKEN_SLEEPS_UNCHECKED
  sleeping[me] = true;
#else
  atomic { if :: stopping == kWaitForTheStop -> sleeping[me] = true :: else fi }
#endif
  !sleeping[me]
}

/* wait_for_world(): who waited in vain of late does not wait for those who are to help, and goes
 * on after one attempt, as does who waits now in vain. */
inline wait_for_world(me) {
  do
  :: !stopping -> break
  :: stopping ->
     try_stop_work(me);
#ifdef BROKEN_FLAG_NOT_WATCHED
     break
#else
     if
     :: stopping != kWaitForTheStop -> break
     :: stopping == kWaitForTheStop -> futex_wait(me)
     fi
#endif
  od
}

/* enter(), enter_slow(): the preferred processor first, then any. */
inline enter(me) {
  do
  :: if :: stopping -> wait_for_world(me) :: !stopping fi;
#ifdef BROKEN_NO_SWAP
     if
     :: holder[me] == kNobody -> holder[me] = me; break
     :: else ->
        if :: holder[1 - me] == kNobody -> holder[1 - me] = me; break :: else fi
     fi
#else
     if
     :: atomic { holder[me] == kNobody -> holder[me] = me; break }
     :: atomic { holder[me] != kNobody && holder[1 - me] == kNobody -> holder[1 - me] = me; break }
     :: holder[me] != kNobody && holder[1 - me] != kNobody -> skip /* round again */
     fi
#endif
  od;
  assert(!stopped)
}

inline leave(me) {
  if
  :: atomic { holder[0] == me -> holder[0] = kNobody }
  :: atomic { holder[1] == me -> holder[1] = kNobody }
  fi
}

/* --- threads -------------------------------------------------------------------------------- */

/* assist(): with no processor. `is_marking()` without the lock is advice. */
inline assist(me) {
  if
  :: marking ->
     acquire(marker_lock);
#ifdef BROKEN_ASSISTS_UNCHECKED
     assert(marking);
#else
     if :: marking -> assert(marking) :: else fi; /* Marker::drain() */
#endif
     release(marker_lock)
  :: else
  fi
}

proctype Thread(byte me) provided (!is_child) {
end_idle:
  do
  :: enter(me);
     if
     :: skip
     :: marking -> acquire(marker_lock); assert(marking); release(marker_lock) /* shade_slow() */
     :: stopping -> leave(me); enter(me)  /* poll(), yield_slow() */
     :: leave(me); assist(me); enter(me)  /* before_refill() */
     fi;
     leave(me)
  od
}

/* abandon_marking() */
inline abandon_marking(me) {
  stop_world(me);
  acquire(marker_lock);
  marking = false;
  release(marker_lock);
  start_world(me)
}

inline run_cycle_locked(me) {
  run_stopped(me, BEGIN); /* begin_marking() */
  if
  :: abandon -> abandon_marking(me)
  :: acquire(marker_lock); release(marker_lock); /* drain_in_turns() */
     run_stopped(me, FINISH) /* try_finish_marking() */
  fi
}

/* A thread that collects: collect(Access&), start_cycle() in place, or the cycle's own thread. */
proctype Collecting(byte me) provided (!is_child) {
end_idle:
  do
#ifdef BROKEN_COLLECTS_IN_A_CALL
  :: atomic { holder[0] == kNobody && !stopping -> holder[0] = me }
     acquire(cycle_lock);
#else
  :: acquire(cycle_lock);
#endif
     run_cycle_locked(me);
     release(cycle_lock)
#ifdef BROKEN_COLLECTS_IN_A_CALL
     ; holder[0] = kNobody
#endif
  od
}

/* before_fork(), the fork, after_fork_in_parent(), after_fork_in_child(). */
#ifdef FORKS
proctype Forking(byte me) {
end_idle:
  do
  :: abandon = true;
#ifndef BROKEN_FORKS_IN_A_CYCLE
     acquire(cycle_lock);
#endif
     stop_world(me);
     if
     :: skip
     :: is_child = true; break
     fi;
     abandon = false;
     start_world(me);
#ifndef BROKEN_FORKS_IN_A_CYCLE
     release(cycle_lock)
#endif
  od;
#ifndef BROKEN_LOCK_LEFT_TO_CHILD
  release(marker_lock); /* Lock::reset_after_fork() */
#endif
  abandon = false;
  start_world(me);
  release(cycle_lock);
  /* The child collects. Nobody else is there to release anything. */
  acquire(cycle_lock);
  run_cycle_locked(me);
  release(cycle_lock);
  do :: is_child = true od /* lives on: its parent's threads stand still, and are no deadlock */
}
#endif

init {
  atomic {
    run Thread(0);
    run Thread(1);
    run Collecting(COLLECTING);
#ifdef FORKS
    run Forking(FORKING)
#endif
  }
}

ltl starts { [] (stopping -> <> !stopping) }
ltl wakes { [] (sleeping[0] -> <> !sleeping[0]) }
