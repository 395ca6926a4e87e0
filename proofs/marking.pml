/* Marking beside the program: the deletion barrier, black runs, the two stops, and how it ends.
 *
 * Follows engine/frontends/collected: collector.cc, marker.cc, marker.h, collected_heap.cc,
 * collected_heap.h, span_source.cc, weak_table.cc. Comments name the function that a part follows.
 *
 * Proved    safe: nothing that a root, a field or a weak reference leads to is swept or handed out
 *           again; terminates: each marking ends, under weak fairness, whatever mutators do.
 * Assumed   memory is sequentially consistent; processors.pml, for what holding one means. In C11
 *           terms: load_reference() acquires, store_reference() releases, so that the
 *           marker sees a record zeroed; the acquire of a processor orders `marking`, a
 *           relaxed load. restart_sequences() is a barrier of every thread, and no sequence that
 *           has looked before it stores after it: what the kernel promises.
 * World     two records of one page with one reference each, two handles; one thread that does
 *           everything for ever. With a weak reference: one record, or two in any graph from which
 *           records only go. Two threads that race for fields, from any graph. With ALONE, stores
 *           that take no processor beside those that do. Runs have as many
 *           slots as are free, blocks of shades have one.
 * Left out  records freed by hand, frozen pages, arrays of roots, a marking that is given up,
 *           stacks of roots, a shade for which there is no memory; who makes the stops.
 *
 * Checks, each a property and how the model is compiled for it:
 *   safe
 *   safe -DWEAK -DRECORDS=1
 *   safe -DWEAK -DANY_GRAPH
 *   safe -DMUTATORS=2 -DANY_GRAPH
 *   safe -DALONE
 *   safe -DALONE -DMUTATORS=2 -DANY_GRAPH
 *   terminates
 *
 * Broken variants, each with the check that must fail:
 *   BROKEN_NO_BARRIER          safe        a store does not shade what it overwrites
 *   BROKEN_SHADES_NEW_VALUE    safe        it shades what it stores instead
 *   BROKEN_SHADES_AFTER_STORE  safe        it looks at what it overwrites too late
 *   BROKEN_ROOT_NOT_SHADED     safe        a root is dropped without a shade
 *   BROKEN_WEAK_NOT_SHADED     safe -DWEAK -DRECORDS=1  a weak reference is loaded without one
 *   BROKEN_RUN_NOT_BLACK       safe        runs taken while marking are not noted
 *   BROKEN_RUNS_KEPT           safe        the first stop leaves processors their runs
 *   BROKEN_NO_SECOND_STOP      safe -DWEAK -DRECORDS=1  marking ends when nothing is queued
 *   BROKEN_BUFFERS_FORGOTTEN   safe        the second stop leaves processors their shades
 *   BROKEN_UNSWEPT_TAKEN       safe        a run is taken from a page that is not swept
 *   BROKEN_BITS_LEFT           safe        sweeping leaves seen bits for the next marking
 *   BROKEN_NO_RESTART          safe -DALONE -DMUTATORS=2 -DANY_GRAPH  the first stop does not wait for stores under way
 *   BROKEN_RESTART_FIRST       safe -DALONE -DMUTATORS=2 -DANY_GRAPH  sequences are restarted, then told to take processors
 *   BROKEN_OPEN_TOO_EARLY      safe -DALONE  stores need no processor as soon as the world goes on
 *   BROKEN_MARKS_AGAIN         terminates  mark() queues a record that it has seen
 *   BROKEN_WAITS_FOR_BLOCKS    terminates  marking goes on while mutators shade anything
 */
#ifndef RECORDS
#define RECORDS 2
#endif
#ifndef MUTATORS
#define MUTATORS 1
#endif
#define ROOTS 2

#define bit(i) (1 << (i))
#define kAll (bit(RECORDS + 1) - 2)

byte field[4]; /* 0 is kNone */
byte root[ROOTS];
byte weak;
byte live;   /* sets of records, as are the next two */
byte seen;
byte scanned;
bool queued;  /* the page that all records lie on */
bool unswept; /* the same */
bool marking;
bool stopping;
bool taken[2];     /* Processor::taken; a mutator has its own, see processors.pml */
bool stores_closed; /* CollectedHeap::stores_closed_ */
bool looked[2];     /* a mutator is in a sequence, and has seen that stores are open */
byte ready[2];     /* Processor::runs: records that are live and not handed out */
byte shaded[2];    /* Processor::shaded, a block of one: the next one fills it */
byte black[2];     /* Processor::black */
byte shaded_blocks;       /* CollectedHeap::shaded_ */
bool suspect;             /* WeakTable::first_suspect_ */

/* Marker::mark() */
#ifdef BROKEN_MARKS_AGAIN
#define mark(record) \
  if :: (record) != 0 -> seen = seen | bit(record); scanned = scanned & ~bit(record); \
        queued = true :: else fi
#else
#define mark(record) \
  if :: (record) != 0 && !(seen & bit(record)) -> \
        seen = seen | bit(record); queued = true :: else fi
#endif

/* --- mutators ------------------------------------------------------------------------------ */

/* CollectedHeap::leave() */
#define leave() taken[me] = false; record = 0; value = 0; to = 0

/* CollectedHeap::shade(), and shade_slow(): a full block goes to the marker. */
#define shade(me, record) \
  if :: marking && (record) != 0 -> \
        shaded_blocks = shaded_blocks | (bit(shaded[me]) & ~1); shaded[me] = record \
     :: else fi

/* CollectedHeap::store(): a shade of what the slot holds, and the store. They are steps of their own,
 * since two threads may store into one slot; the shade is into a buffer that nobody else looks at. */
inline store(me, slot, value) {
#if defined(BROKEN_SHADES_AFTER_STORE)
  field[slot] = value;
  atomic { shade(me, field[slot]) }
#elif defined(BROKEN_SHADES_NEW_VALUE)
  atomic { shade(me, value) }
  field[slot] = value
#elif defined(BROKEN_NO_BARRIER)
  field[slot] = value
#else
  atomic { shade(me, field[slot]) }
  field[slot] = value
#endif
}

/* CollectedHeap::set_root(), remove_root() and add_root(): what the slot held is shaded first. */
inline set_root(me, slot, what) {
#ifndef BROKEN_ROOT_NOT_SHADED
  atomic { shade(me, root[slot]) }
#endif
  atomic { root[slot] = what; leave() }
}

#ifdef BROKEN_UNSWEPT_TAKEN
#define may_take true
#else
#define may_take !unswept
#endif

/* take_run(), next_run_in_span(): all free slots of a page, zeroed (see forget_free_fields). Others
 * cannot see them yet, so one step. Leaves the run empty when no page has room. */
inline take_run(me) {
  if :: may_take -> ready[me] = kAll & ~live :: else fi
  live = live | ready[me];
#ifndef BROKEN_RUN_NOT_BLACK
  if :: marking -> black[me] = black[me] | ready[me] :: else fi /* note_black() */
#endif
}

/* CollectedHeap::close_stores(): who is in a sequence begins anew. */
#if defined(BROKEN_NO_RESTART)
#define close_stores() stores_closed = true
#elif defined(BROKEN_RESTART_FIRST)
#define close_stores() atomic { looked[0] = false; looked[1] = false }; stores_closed = true
#else
#define close_stores() stores_closed = true; atomic { looked[0] = false; looked[1] = false }
#endif

/* start_world(), and in it open_stores() */
#ifdef BROKEN_OPEN_TOO_EARLY
#define start_world() stores_closed = false; stopping = false
#else
#define start_world() stores_closed = marking; stopping = false
#endif

#define is_usable(record) assert((record) == 0 || (live & bit(record)))

/* One call after another, each with a processor. Handles are read in the step that takes it: they
 * do not change under a call that is given them. */
proctype Mutator(byte me) {
  byte record, value, to;
end_idle:
  do
  :: atomic {
       !stopping && !taken[me] -> taken[me] = true; /* Access */
       if :: record = root[0] :: record = root[1] fi
       is_usable(record);
#if MUTATORS == 1
       if :: to = 0 :: to = 1 fi
#else
       to = me;
#endif
       if
       :: record != 0 -> goto reads
       :: record != 0 -> value = root[to]; goto writes
       :: record != 0 -> goto writes
       :: goto drops
#ifndef ANY_GRAPH
       :: goto allocates
#endif
#ifdef WEAK
       :: weak = record; leave(); goto end_idle /* WeakTable::add() */
       :: goto loads_weak
#endif
       fi
     }
#ifdef ALONE
  :: atomic { /* CollectedHeap::try_store(), and store_if_open(): handles keep both records */
#if MUTATORS == 1
       if :: root[0] != 0 -> record = root[0] :: root[1] != 0 -> record = root[1] fi;
       if :: value = root[0] :: value = root[1] :: value = 0 fi
#else
       root[me] != 0 -> record = root[me];
       if :: value = root[me] :: value = 0 fi
#endif
     }
begins:
     atomic {
       if
       :: stores_closed -> record = 0; value = 0; goto end_idle /* takes a processor: as above */
       :: else -> looked[me] = true
       fi
     }
     atomic {
       if
       :: looked[me] -> field[record] = value; looked[me] = false; record = 0; value = 0;
          goto end_idle
       :: else -> goto begins
       fi
     }
#endif
  od;
reads: /* a field into a handle */
     atomic { value = field[record]; record = 0; is_usable(value) }
     set_root(me, to, value);
     goto end_idle;
writes: /* a field, with what another handle names, or nothing */
     atomic { to = 0 }
     store(me, record, value);
     atomic { leave(); goto end_idle }
allocates: /* CollectedHeap::allocate() */
     atomic {
       record = 0;
       if :: ready[me] == 0 -> take_run(me) :: else fi
       if
       :: ready[me] & bit(1) -> value = 1
       :: !(ready[me] & bit(1)) && (ready[me] & bit(2)) -> value = 2
       :: ready[me] == bit(3) -> value = 3
       :: ready[me] == 0 -> leave(); goto end_idle /* no memory */
       fi
       ready[me] = ready[me] & ~bit(value)
     }
     set_root(me, to, value);
     goto end_idle;
drops:
     atomic { record = 0 }
     set_root(me, to, 0);
#ifdef WEAK
     goto end_idle;
loads_weak: /* CollectedHeap::load_weak() */
     atomic {
       record = 0;
       value = weak;
       is_usable(value)
     }
#ifndef BROKEN_WEAK_NOT_SHADED
     atomic { shade(me, value) }
#endif
     set_root(me, to, value);
     goto end_idle
#endif
}

/* --- the collector -------------------------------------------------------------------------- */

/* stop_world(): processors are taken in one step, since nobody enters who has not by then. Until
 * start_world(), which begins by clearing the flag, the collector is alone: one step as well. */
#define stopped() (!taken[0] && !taken[1])

/* mark_shaded_blocks() */
inline mark_set(records) {
  if :: (records) & bit(1) -> mark(1) :: else fi
  if :: (records) & bit(2) -> mark(2) :: else fi
  if :: (records) & bit(3) -> mark(3) :: else fi
}
inline mark_shaded_blocks() { mark_set(shaded_blocks); shaded_blocks = 0 }

/* take_shaded() */
#define take_shaded(me) shaded_blocks = shaded_blocks | (bit(shaded[me]) & ~1); shaded[me] = 0

/* Nobody looks at a record that is free, so what its field held need not be told apart. */
inline forget_free_fields() {
  if :: live & bit(1) :: else -> field[1] = 0 fi
  if :: live & bit(2) :: else -> field[2] = 0 fi
  if :: live & bit(3) :: else -> field[3] = 0 fi
}

/* flush_processors(): what runs have left is free again. */
inline flush_processors() {
  live = live & ~(ready[0] | ready[1]);
  ready[0] = 0; ready[1] = 0
}

#define todo (seen & ~scanned & live)

/* Marker::scan_page(): until the page has nothing left. A field is read beside the program. */
inline scan_page() {
  do
  :: atomic { todo ->
       if
       :: todo & bit(1) -> at = 1
       :: todo & bit(2) -> at = 2
       :: todo & bit(3) -> at = 3
       fi
       scanned = scanned | bit(at);
       at = field[at];
       mark(at);
       at = 0
     }
  :: atomic { !todo -> queued = false; break }
  od
}

/* The oracle: a record that a root leads to has been seen, or else it would be swept. */
inline check_reachable() {
  d_step {
    reached = 0;
    if :: root[0] != 0 -> reached = reached | bit(root[0]) :: else fi
    if :: root[1] != 0 -> reached = reached | bit(root[1]) :: else fi
    at = 0;
    do
    :: at < RECORDS * RECORDS ->
       if
       :: (reached & bit(at % RECORDS + 1)) && field[at % RECORDS + 1] != 0 ->
          reached = reached | bit(field[at % RECORDS + 1])
       :: else
       fi
       at++
    :: else -> break
    od
    assert(!(reached & ~(live & seen)));
    at = 0; reached = 0
  }
}

/* finish_marking_stopped() */
inline finish_marking() {
    flush_processors();
    seen = seen | black[0] | black[1]; /* apply_black_blocks(), Marker::mark_black() */
    black[0] = 0; black[1] = 0;
    /* WeakTable::clear_unreached() */
    if :: suspect && weak != 0 && !(seen & bit(weak)) -> weak = 0 :: else fi
    suspect = false;
    unswept = true; /* ++collection_ */
    marking = false;
    check_reachable()
}

/* SpanSource::sweep() */
inline sweep() {
  atomic {
    live = live & seen;
    forget_free_fields();
#ifndef BROKEN_BITS_LEFT
    seen = 0;
#endif
    scanned = 0;
    unswept = false
  }
}

/* run_cycle_locked(), for ever */
active proctype Collector() {
  byte at, reached;
  bool finished;
  atomic {
#ifdef ANY_GRAPH
    live = kAll;
    if :: field[1] = 0 :: field[1] = 1 :: field[1] = 2 fi
    if :: field[2] = 0 :: field[2] = 1 :: field[2] = 2 fi
    if :: root[0] = 0 :: root[0] = 1 :: root[0] = 2 fi
    if :: root[1] = 0 :: root[1] = 1 :: root[1] = 2 fi
#ifdef WEAK
    if :: weak = 1 :: weak = 2 fi
#endif
#endif
    run Mutator(0);
#if MUTATORS == 2
    run Mutator(1)
#endif
  }
end_between_cycles:
  do
  :: skip; /* begin_marking() */
#ifdef ALONE
     close_stores();
#endif
     stopping = true;
     atomic {
       stopped() -> skip;
#ifndef BROKEN_RUNS_KEPT
       flush_processors();
#endif
       marking = true;
       start_world()
     }
     atomic { at = root[0]; mark(at); at = 0 } /* mark_roots() */
     atomic { at = root[1]; mark(at); at = 0 }
     do
     :: finished -> finished = false; break
     :: !finished ->
        do /* drain_in_turns(): a turn is mark_shaded_blocks() once, and Marker::drain() */
        :: atomic { mark_shaded_blocks() }
           if :: queued -> scan_page() :: else fi
#ifdef BROKEN_WAITS_FOR_BLOCKS
           if :: queued || shaded_blocks :: else -> break fi
#else
           if :: queued :: else -> break fi
#endif
        od
        /* try_finish_marking() */
#ifdef WEAK
        atomic { suspect = weak != 0 && !(seen & bit(weak)) } /* WeakTable::find_suspects() */
#endif
#ifdef BROKEN_NO_SECOND_STOP
        atomic {
#else
        stopping = true;
        atomic {
          stopped() -> skip;
#endif
#ifndef BROKEN_BUFFERS_FORGOTTEN
          take_shaded(0);
          take_shaded(1);
#endif
          mark_shaded_blocks();
#ifndef BROKEN_MARKS_AGAIN /* Spin does not leave a step that never ends */
          if /* Marker::drain(kFinalPages): one page */
          :: queued -> scan_page()
          :: else
          fi
#endif
          if
          :: !queued -> finish_marking(); finished = true
          :: else
          fi
          start_world()
        }
     od
     do /* sweep_all() */
     :: unswept -> sweep()
     :: atomic { !unswept -> assert(!seen && !scanned && !queued); break }
     od
  od
}

ltl terminates { [] (marking -> <> !marking) }
