/*
 * The fence at one node: of two sidecars of one coordinator (or of a copy of it) at most one finishes branches there, whatever
 * connections break, and whoever squats on a lock.
 *
 *   lock[c]             the advisory lock of class c at the node: 0, a sidecar's number, or STRANGER (sidecar/node.ts, FENCE_CLASSES)
 *   entry[s]            the session that has, or just had, the lock of s is to be seen at the node: longer than the lock is held
 *   thinks[s]           the sidecar believes that it holds the fence (Node.finisher is there)
 *   hand[s], asked[s]   a connection of the sidecar that finishes branches is open at the node (finisher.ts); an order is under way on it
 *   sidecar()           Node.connect, Fence.take and takeAlone, and the opening of a finisher's connection (Fence.isHeld)
 *   alone(s)            a look at the sessions, which are not read at one moment, and in any order (sql/node/alone.sql)
 *   network()           connections that end, the fence's without the others; a side may learn of it late
 *
 * Left out: what the orders do (core.pml, failover.pml), the election (it does not hold where a copy of the coordinator's database runs),
 * and retries in time.
 */
#define CLASSES 2
#define STRANGER 3
#define HOLDER(s) (s + 1)
#define RIVAL_HOLDS(s) (lock[0] == HOLDER(1 - s) || lock[1] == HOLDER(1 - s))
#ifdef NO_FENCE
#define FENCED(s) true
#else
#define FENCED(s) (lock[0] == HOLDER(s) || lock[1] == HOLDER(s))
#endif

byte lock[CLASSES];
bool entry[2], thinks[2], hand[2], asked[2];

#ifdef NO_SECOND_LOOK
#define SECOND_LOOK(s) true
#else
#define SECOND_LOOK(s) (!RIVAL_HOLDS(s))
#endif
#ifdef NO_HANDS_CHECK
#define NO_HANDS(s) true
#else
#define NO_HANDS(s) (!hand[1 - s])
#endif
#ifdef HANDS_UNCHECKED
#define MAY_WORK(s) true
#else
#define MAY_WORK(s) FENCED(s)
#endif

inline let_go(s)
{
    if :: lock[0] == HOLDER(s) -> lock[0] = 0 :: else fi;
    if :: lock[1] == HOLDER(s) -> lock[1] = 0 :: else fi
}

#ifdef RIVALS_UNSEEN
#define NO_ENTRY(s) true
#define NO_HAND(s) true
#else
#define NO_ENTRY(s) (!entry[1 - s])
#define NO_HAND(s) (!hand[1 - s])
#endif

inline look_around(s)
{
    if
    :: d_step { NO_ENTRY(s) -> skip } d_step { NO_HAND(s) -> skip }
    :: d_step { NO_HAND(s) -> skip } d_step { NO_ENTRY(s) -> skip }
    fi
}

inline alone(s)
{
    look_around(s);
#ifndef ONE_LOOK
    look_around(s);
#endif
}

proctype sidecar(byte s)
{
end:
    do
    :: d_step { !thinks[s] && !RIVAL_HOLDS(s) -> let_go(s) }               /* its own stale session, if there is one, is ended */
#ifndef NO_FENCE
        if
        :: d_step { lock[0] == 0 -> lock[0] = HOLDER(s); entry[s] = true }
        :: d_step { lock[0] != 0 && lock[1] == 0 -> lock[1] = HOLDER(s); entry[s] = true }
        :: d_step { lock[0] != 0 && lock[1] != 0 -> skip } goto end
        fi;
        if
        :: d_step { SECOND_LOOK(s) && NO_HANDS(s) && FENCED(s) -> thinks[s] = true }
        :: d_step { !(SECOND_LOOK(s) && NO_HANDS(s) && FENCED(s)) -> let_go(s) }
        fi
#else
        thinks[s] = true
#endif
#ifndef NO_FENCE
    :: d_step { !thinks[s] && lock[0] == 0 -> lock[0] = HOLDER(s); entry[s] = true }   /* without a look before … */
        if
        :: alone(s) d_step { FENCED(s) -> thinks[s] = true }
        :: let_go(s)                                                     /* … somebody is there: it begins anew, with one */
        fi
#endif
    :: d_step { thinks[s] && !hand[s] -> hand[s] = true }                /* a connection to finish branches on: seen from now on, … */
        if
        :: d_step { MAY_WORK(s) && hand[s] && thinks[s] -> skip } goto works /* … then it asks whether the fence is held, */
        :: alone(s) d_step { hand[s] && thinks[s] -> skip }              /* or sees that nobody else could */
works:      do
            :: d_step { thinks[s] && hand[s] && !asked[s] -> asked[s] = true }
            :: d_step { !thinks[s] || !hand[s] -> hand[s] = false; asked[s] = false } break
            :: d_step { !FENCED(s) -> thinks[s] = false }                /* it learns of it, some time */
            od
        :: d_step { !(MAY_WORK(s) && hand[s] && thinks[s]) -> hand[s] = false; thinks[s] = false }
        fi
    :: d_step { thinks[s] && !FENCED(s) -> thinks[s] = false }
    od
}

#define EXECUTED(s) :: d_step { asked[s] && hand[s] -> assert(!(hand[1 - s] && asked[1 - s])); asked[s] = false }
#define FENCE_LOST(s) :: d_step { FENCED(s) -> let_go(s) }
#define ENTRY_GONE(s) :: d_step { entry[s] && !FENCED(s) -> entry[s] = false }
#define HAND_LOST(s) :: d_step { hand[s] -> hand[s] = false; asked[s] = false }

active proctype network()
{
end:
    do
    EXECUTED(0)
    EXECUTED(1)
    FENCE_LOST(0)
    FENCE_LOST(1)
    HAND_LOST(0)
    HAND_LOST(1)
    ENTRY_GONE(0)
    ENTRY_GONE(1)
    :: d_step { lock[0] == 0 -> lock[0] = STRANGER }                     /* anyone may take an advisory lock */
    :: d_step { lock[0] == STRANGER -> lock[0] = 0 }
    :: d_step { lock[1] == 0 -> lock[1] = STRANGER }
    :: d_step { lock[1] == STRANGER -> lock[1] = 0 }
    od
}

init { atomic { run sidecar(0); run sidecar(1) } }
