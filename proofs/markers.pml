/* Several markers, which send each other what lies on the other's pages: nothing is forgotten.
 *
 * Follows engine/frontends/collected: markers.h, markers.cc, marker.h, marker.cc.
 * Comments name the function that a part follows.
 *
 * Proved    safe: when done() says so, all that roots lead to has been seen, by who holds the lock
 *           of its marker, and no block is missing; terminates: done() says so in the end, under
 *           weak fairness, however few blocks there are.
 * Assumed   memory is sequentially consistent. In C11 terms: locks order what markers own; push()
 *           releases and receive() acquires what is in a block; work_ changes by read-modify-writes,
 *           of which those that lower it release, and done() acquires.
 * World     two markers, three records of one reference each, in any graph and with any roots;
 *           blocks of one reference, two of them; the cycle's thread and one that helps, or it
 *           alone. Pages are records.
 * Left out  what wakes and puts to sleep, since who sleeps wakes up after a millisecond; a marking
 *           that is given up; what is done while all locks are held; live bits.
 *
 * Checks, each a property and how the model is compiled for it:
 *   safe
 *   terminates
 *   terminates -DALONE
 *
 * Broken variants, each with the check that must fail:
 *   BROKEN_SENT_BEFORE_COUNTED   safe        a block is pushed before it counts as work
 *   BROKEN_BUSY_TOO_LATE         safe        blocks no longer count before the marker is busy
 *   BROKEN_DONE_BEFORE_SENT      safe        a marker stops being busy before it has sent all
 *   BROKEN_KEPT_BLOCK            safe        a block that is not full stays when the lock goes
 *   BROKEN_ROOTS_NOT_EXPECTED    safe        who helps may find nothing to do before there is any
 *   BROKEN_WAITS_FOR_BLOCK       terminates -DALONE  who has no block waits for one
 *   BROKEN_RELIEVES_ITSELF_ONLY  terminates -DALONE  and takes only what was sent to itself
 */
#define RECORDS 3
#define NONE RECORDS
#define BLOCKS 2
#define FREE 2 /* nobody holds the lock */

#define bit(i) (1 << (i))
#define owner(record) ((record) & 1)

byte field[RECORDS];
byte roots;
byte seen;              /* a set of records, as are the next two */
byte queued[2];         /* by marker: seen and not scanned */
bool busy[2];           /* busy_ */
byte lock[2] = FREE;
byte work;              /* work_ */
byte blocks = BLOCKS;   /* those that are empty */
byte outgoing[2] = NONE;  /* outgoing_: a block with this reference, for the other marker */
chan inbox[2] = [BLOCKS] of { byte };
bool finished;

/* Marker::mark(), of a set of records that lie on one marker's pages. */
inline mark(by, which, some) {
  atomic {
    assert(lock[which] == by);
    queued[which] = queued[which] | (some & ~seen);
    seen = seen | some
  }
}

/* receive(): takes all that lies there in one exchange; marks; gives the blocks back. */
inline receive(who, box) {
  atomic {
    taken = 0; count = 0;
    do
    :: inbox[box] ? record -> taken = taken | bit(record); count = count + 1
    :: empty(inbox[box]) -> break
    od;
    record = 0
  }
  if
  :: count != 0 ->
#ifdef BROKEN_BUSY_TOO_LATE
     work = work - count;
#endif
     atomic { if :: !busy[box] -> busy[box] = true; work = work + 1 :: else fi } /* set_busy() */
     mark(who, box, taken);
     blocks = blocks + count; /* give_blocks() */
#ifndef BROKEN_BUSY_TOO_LATE
     work = work - count; /* note_done() */
#endif
     atomic { count = 0; taken = 0 }
  :: else
  fi
}

/* post() */
inline post(m) {
#ifdef BROKEN_SENT_BEFORE_COUNTED
  inbox[1 - m] ! outgoing[m];
  work = work + 1;
#else
  work = work + 1; /* note_work() */
  inbox[1 - m] ! outgoing[m];
#endif
  outgoing[m] = NONE
}

/* take_block(): who finds none takes what was sent to itself, and to whom nobody works for. */
inline take_block(me, m) {
  do
  :: atomic { blocks != 0 -> blocks = blocks - 1 }
     break
#ifndef BROKEN_WAITS_FOR_BLOCK
  :: blocks == 0 && nempty(inbox[m]) -> receive(me, m)
#ifndef BROKEN_RELIEVES_ITSELF_ONLY
  :: atomic { blocks == 0 && nempty(inbox[1 - m]) && lock[1 - m] == FREE -> lock[1 - m] = me }
     receive(me, 1 - m);
     lock[1 - m] = FREE
#endif
#endif
  od
}

/* mark_or_send(), send() */
inline mark_or_send(me, m, what) {
  if
  :: what == NONE
  :: what != NONE && owner(what) == m -> mark(me, m, bit(what))
  :: what != NONE && owner(what) != m ->
     if :: outgoing[m] != NONE -> post(m) :: else fi;
     take_block(me, m);
     outgoing[m] = what
  fi
}

/* settle(), and the lock goes. */
inline settle(m) {
#ifdef BROKEN_DONE_BEFORE_SENT
  set_busy(m);
#endif
#ifndef BROKEN_KEPT_BLOCK
  if :: outgoing[m] != NONE -> post(m) :: else fi;
#endif
  set_busy(m);
  lock[m] = FREE
}
inline set_busy(m) {
  atomic {
    if
    :: busy[m] && queued[m] == 0 -> busy[m] = false; work = work - 1
    :: !busy[m] && queued[m] != 0 -> busy[m] = true; work = work + 1
    :: else
    fi
  }
}

#define has_work(m) (busy[m] || nempty(inbox[m]))

/* take_turn(), turn(): any marker that has work and that nobody works for; a page or two. */
inline take_turn(me) {
  if
  :: atomic { has_work(0) && lock[0] == FREE -> lock[0] = me; m = 0 }
  :: atomic { has_work(1) && lock[1] == FREE -> lock[1] = me; m = 1 }
  :: work == 0 -> goto next /* done() */
  fi;
  receive(me, m);
  do /* drain() */
  :: atomic {
       queued[m] != 0 ->
       if
       :: queued[m] & 1 -> to = 0
       :: queued[m] & 2 -> to = 1
       :: queued[m] & 4 -> to = 2
       fi;
       queued[m] = queued[m] & ~bit(to);
       to = field[to]
     }
     mark_or_send(me, m, to);
     if :: true :: break fi
  :: queued[m] == 0 -> break
  od;
  settle(m);
next:
  to = 0
}

#define leads_out(record) \
  ((seen & bit(record)) && field[record] != NONE && !(seen & bit(field[record])))

/* What must be when work_ is 0 and no root is left. */
#define check_done() \
  assert((roots & ~seen) == 0); \
  assert(!leads_out(0) && !leads_out(1) && !leads_out(2)); \
  assert(queued[0] == 0 && queued[1] == 0 && blocks == BLOCKS)

/* start_helpers(): help() */
proctype Helper() {
  byte record, taken, count, m, to;
  do
  :: work == 0 -> atomic { check_done(); break }
  :: work != 0 -> take_turn(1)
  od
}

/* The cycle's thread: drain_in_turns(). */
active proctype Cycle() {
  byte record, taken, count, m, to;
  atomic {
    select(record : 0 .. NONE); field[0] = record;
    select(record : 0 .. NONE); field[1] = record;
    select(record : 0 .. NONE); field[2] = record;
    select(record : 1 .. 7); roots = record;
    record = 0
  }
#ifndef BROKEN_ROOTS_NOT_EXPECTED
  work = work + 1; /* expect_roots() */
#endif
#ifndef ALONE
  run Helper();
#endif
  atomic { lock[0] == FREE -> lock[0] = 0 } /* mark_from() */
  to = 0;
  do
  :: to < RECORDS ->
     if :: roots & bit(to) -> mark_or_send(0, 0, to) :: else fi;
     to = to + 1
  :: to == RECORDS -> break
  od;
  to = 0;
  settle(0);
#ifndef BROKEN_ROOTS_NOT_EXPECTED
  work = work - 1; /* expect_no_more_roots() */
#endif
  do
  :: work == 0 -> break
  :: work != 0 -> take_turn(0)
  od;
  atomic { check_done(); finished = true }
}

ltl terminates { <> finished }
