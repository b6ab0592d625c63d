/*
 * The doorbell: no wake-up is lost, though hardly any commit sends one.
 *
 *   committing, committing_alone    the advisory lock "committing", held in shared mode by sessions, tried alone by the sidecar
 *   tested_awake, awake             the lock "awake": shared by sessions that found it free; held by the sidecar while it polls
 *   visible[i], seen[i]             the commit record of session i's set is visible; the sidecar has read it
 *   rung                            a notification has arrived since the last wait (sidecar/doorbell.ts, wait)
 *   session()                       sql/internal/_ring.sql, then the end of the local COMMIT: visible, locks released, NOTIFY delivered
 *   sidecar()                       sidecar/lookout.ts, keep; sql/sidecar/_fall_asleep.sql, _stay_awake.sql, _look.sql
 *
 * Left out: the slow look, which backs all of this up. Here the sidecar sleeps for ever unless it is rung, so that a lost wake-up
 * shows as a system at rest with a set that nobody has seen. A notification that the server loses is thereby left out as well. The look's
 * snapshot arithmetic is one step: it reads all that is visible.
 */
#ifndef SESSIONS
#define SESSIONS 2
#endif

byte committing, tested_awake;
bool committing_alone, awake;
bool visible[SESSIONS], seen[SESSIONS];
bool rung, listening;

proctype session(byte i)
{
    bool marked, tested, notify;

#ifdef DOORBELL_TEST_BEFORE_LOCK
    d_step { if :: awake -> notify = false :: else -> notify = true; tested = true; tested_awake++ fi }
    d_step { if :: committing_alone -> notify = true :: else -> marked = true; committing++ fi }
#else
    d_step { if :: committing_alone -> notify = true :: else -> marked = true; committing++ fi }
    if
    :: d_step { marked && !awake -> notify = true; tested = true; tested_awake++ }
    :: d_step { marked && awake -> skip }
    :: !marked
    fi;
#endif
#ifdef LOCKS_END_BEFORE_VISIBLE
    d_step { committing = committing - marked; tested_awake = tested_awake - tested }
    visible[i] = true;
#else
    if
    :: visible[i] = true
    :: skip                                                          /* it dies, or the commit fails */
    fi;
    d_step { committing = committing - marked; tested_awake = tested_awake - tested }
#endif
    if
    :: d_step { notify && visible[i] -> rung = (rung || listening) }
    :: !(notify && visible[i])
    fi
}

inline look()
{
    d_step {
        found = false; k = 0;
        do
        :: k < SESSIONS && visible[k] && !seen[k] -> seen[k] = true; found = true; k++
        :: k < SESSIONS && !(visible[k] && !seen[k]) -> k++
        :: k == SESSIONS -> break
        od;
        k = 0
    }
}

active proctype sidecar()
{
    byte k;
    bool found, quiet;

#ifdef LISTEN_AFTER_LOOK
    look();
    listening = true;
    goto asleep;
#else
    listening = true;
    rung = true;                                                     /* open() rings, so that what came before is looked for */
#endif
poll:
    look();
    if
    :: found ->
work:
        if
        :: d_step { !awake && tested_awake == 0 -> awake = true }
        :: d_step { awake || tested_awake > 0 -> skip }
        fi;
        goto poll
    :: !found && awake -> goto poll                                  /* idle for less than BUSY */
    :: !found
    fi;
    d_step { found = false; awake = false }
#ifdef NO_COMMITTING_TEST
    quiet = true;
#else
    if
    :: d_step { committing == 0 -> committing_alone = true }
        quiet = true;
        committing_alone = false
    :: d_step { committing > 0 -> quiet = false }
    fi;
#endif
#ifndef NO_FINAL_LOOK
    look();
    if
    :: found -> d_step { found = false; quiet = false } goto poll
    :: !found
    fi;
#endif
    if
    :: d_step { !quiet -> skip } goto poll                           /* some session is committing: a short pause, then again */
    :: d_step { quiet -> quiet = false }
    fi;
#ifdef FORGET_RING
    rung = false;
#endif
asleep:
    if
    :: d_step { rung -> rung = false };
        look();
        if
        :: found -> goto work
        :: !found -> goto asleep                                     /* it has not said "awake" since: who commits, rings */
        fi
    :: timeout ->                                                    /* all is at rest, and nobody rings */
        k = 0;
        do
        :: k < SESSIONS -> assert(!visible[k] || seen[k]); k++
        :: k == SESSIONS -> break
        od
    fi
}

init { atomic { byte i; for (i : 0 .. SESSIONS - 1) { run session(i) } } }
