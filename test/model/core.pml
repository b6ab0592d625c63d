/*
 * The commit protocol and its recovery: one set with a branch on each of N nodes, two sidecars of one coordinator, and everything
 * that can die. `make model` checks it; README.md beside this file has the results.
 *
 *   txn, durable,   visible    the local transaction; its commit record on disk; its commit record to be seen (sql/internal/_prepare_set.sql)
 *   branch[n], wire[n]         the branch on node n; PREPARE TRANSACTION sent and not arrived
 *   acting                     the election on the coordinator (sql/sidecar/_hello.sql): 0, or the sidecar's number
 *   fence[n]                   who holds the fence at node n (sidecar/node.ts, takeFence): 0, or the sidecar's number
 *   order[s, n]                COMMIT PREPARED or ROLLBACK PREPARED of sidecar s under way to node n, on a connection of its own (finisher.ts)
 *   state[s]                   "commit" stands in the state files of sidecar s (sidecar/resolver.ts, statefile.ts)
 *   session()                  the session: opens branches, prepares them, commits locally (_prepare_set.sql)
 *   sidecar()                  keeper and resolver of one sidecar (sidecar/recovery.ts, settle; resolver.ts, decide and attempt; _decide.sql)
 *   node()                     a node: statements arrive, arrive late, or are lost; it crashes; single connections break
 *   coordinator()              crashes and restarts of the coordinator's server
 *
 * Left out: a process that is down is one that does nothing, so death and restart are one step. A sidecar looks at one node at a
 * time (what keepers of different nodes share is the coordinator and the state files); orders to all nodes are under way together. What
 * the node answers to an order is fate.pml's, how the fence is taken lock by lock is fence.pml's, and time lines are failover.pml's.
 */
#ifndef N
#define N 2
#endif
bool calm;                               /* from now on nothing fails: for liveness. Before, any number of failures: the states are finite all the same */
#define MAY_FAIL (!calm)
#if N == 3
#define ALL(p) (p(0) && p(1) && p(2))
#define FOR_EACH(option) option(0) option(1) option(2)
#define NONE(p) (!p(0) && !p(1) && !p(2))
#define FOR_ALL(do_) do_(0); do_(1); do_(2)
#else
#define ALL(p) (p(0) && p(1))
#define FOR_EACH(option) option(0) option(1)
#define NONE(p) (!p(0) && !p(1))
#define FOR_ALL(do_) do_(0); do_(1)
#endif

mtype:txn = { unborn, running, over };
mtype:branch = { none, open, prepared, committed, rolled_back };
mtype:order = { nothing, commit, rollback };

mtype:txn txn = unborn;
bool durable, visible;
mtype:branch branch[N] = none;
bool wire[N];
byte acting;
byte fence[N];
mtype:order order[2 * N] = nothing;
bool state[2];

#define ORDER(s, n) order[(s) * N + (n)]
#define IS_PREPARED(n) (branch[n] == prepared)
#define IS_ENDED(n) (branch[n] == committed || branch[n] == rolled_back)
#define SETTLED(n) (branch[n] != prepared && branch[n] != open && !wire[n])

#ifdef NO_WAIT_FOR_PREPARE
#define MAY_COMMIT true
#else
#define MAY_COMMIT ALL(IS_PREPARED)
#endif
#define OPEN_BRANCH(n) branch[n] = open
#define SEND_PREPARE(n) wire[n] = true
#define UNDO(n) if :: branch[n] == prepared -> branch[n] = rolled_back :: else fi
#define PREPARED_OR_MORE(n) (branch[n] == prepared || branch[n] == committed)

active proctype session()
{
    d_step { txn = running; FOR_ALL(OPEN_BRANCH) }
    if
    :: d_step { txn == running -> FOR_ALL(SEND_PREPARE) }
    :: d_step { txn == running -> txn = over }                           /* ROLLBACK, or the session is killed */
    :: txn == over
    fi;
    if
    :: d_step { txn == running && MAY_COMMIT ->
        durable = true;
        assert(ALL(PREPARED_OR_MORE));                                       /* no decision to commit what is not prepared */
#ifdef SYNC_COMMIT_OFF
        durable = false; visible = true; txn = over
#endif
       }
    :: d_step { txn == running -> txn = over }                           /* killed before, between or after the PREPAREs */
    :: atomic { txn == running && !MAY_COMMIT ->                           /* one PREPARE failed: the others are undone */
        d_step { FOR_ALL(UNDO) } }
        d_step { txn == running -> txn = over }
    :: txn == over
    fi;
    if
    :: d_step { durable && txn == running -> visible = true; txn = over }/* record and end become visible in one step */
#ifdef SYNC_COMMIT_OFF
    :: d_step { visible && !durable -> durable = true }                      /* the WAL writer, some time later */
    :: d_step { visible && !durable && MAY_FAIL -> visible = false }
#endif
    :: txn == over && (durable || !visible)
    fi
}

#ifndef SYNC_COMMIT_OFF
active proctype coordinator()
{
end:
    do
    :: d_step { MAY_FAIL && txn != unborn ->
        txn = over; visible = durable; acting = 0 }                        /* crash, recovery, restart */
    :: d_step { MAY_FAIL && acting != 0 -> acting = 0 }            /* the sidecar's connection to it breaks */
    od
}
#endif

inline execute(s, n)                                                         /* an order reaches its node */
{
    d_step {
        ORDER(s, n) != nothing ->
        assert(fence[n] == 0 || fence[n] == s + 1);                          /* at most one sidecar acts at a node */
        if
        :: branch[n] != prepared                                             /* 42704 */
        :: branch[n] == prepared && ORDER(s, n) == commit ->
            assert(durable);                                                 /* never without the commit record */
            branch[n] = committed
        :: branch[n] == prepared && ORDER(s, n) == rollback ->
            assert(txn == over);                                           /* never a running set's */
            assert(!durable);                                                /* never against the commit record */
            branch[n] = rolled_back
        fi;
        ORDER(s, n) = nothing
    }
}

proctype node(byte n)
{
end:
    do
    :: d_step { wire[n] && branch[n] == open -> branch[n] = prepared; wire[n] = false }      /* late perhaps: its session may be gone */
    :: d_step { wire[n] && branch[n] != open -> wire[n] = false }            /* its transaction is gone: an error */
    :: d_step { branch[n] == open && txn == over -> branch[n] = rolled_back; wire[n] = false }/* the session's connection ends */
    :: execute(0, n)
    :: execute(1, n)
    :: d_step { MAY_FAIL && ORDER(0, n) != nothing -> ORDER(0, n) = nothing }      /* lost with its connection */
    :: d_step { MAY_FAIL && ORDER(1, n) != nothing -> ORDER(1, n) = nothing }
    :: d_step { MAY_FAIL && fence[n] != 0 -> fence[n] = 0 }                        /* only the fence's connection breaks */
    :: d_step { MAY_FAIL && branch[n] != none ->                                              /* crash and restart: what is prepared stays */
        if :: branch[n] == open -> branch[n] = rolled_back :: else fi;
        wire[n] = false; fence[n] = 0; ORDER(0, n) = nothing; ORDER(1, n) = nothing }
    od
}

#ifdef NO_FENCE
#define HOLDS(s, n) true
#else
#define HOLDS(s, n) (fence[n] == s + 1)
#endif
#ifdef NO_HANDS_CHECK
#define FREE(s, n) (fence[n] == 0)
#else
#define FREE(s, n) (fence[n] == 0 && ORDER(1 - s, n) == nothing)             /* nor is a connection of the other still open here */
#endif
#define GIVE_UP(n) if :: fence[n] == s + 1 -> fence[n] = 0 :: else fi

#ifdef NO_F_CHECK
#define F true
#else
#define F (txn != running)   /* over; or "future", an xid never handed out, which a crash takes back: unborn */
#endif

#define HELD_BY(s, n) (fence[n] == s + 1)
#define MINE(n) HELD_BY(s, n)
#define ACTS (acting == s + 1)
#define IDLE(n) (branch[n] == prepared && ORDER(s, n) == nothing)

/* Options of the sidecar, for node n each. */
#define TAKE_FENCE(n) :: d_step { ACTS && FREE(s, n) -> fence[n] = s + 1 }
#define ATTEMPT(n) :: d_step { state[s] && HOLDS(s, n) && IDLE(n) -> ORDER(s, n) = commit }
#define LOOK(n) :: d_step { step == FIRST && ACTS && !state[s] && CAN_SEE(n) -> step = SECOND; at = n; FIRST_LOOK }
#define FORGET r = false; f = false; at = 0; step = FIRST
#define FIRST 0
#define SECOND 1
#define THIRD 2
#ifdef NO_P_BEFORE_RF
#define CAN_SEE(n) true
#define FIRST_LOOK r = visible; f = F
#else
#define CAN_SEE(n) (HOLDS(s, n) && IDLE(n))
#define FIRST_LOOK skip
#endif

proctype sidecar(byte s)
{
    byte at, step;
    bool r, f;
end:
    do
    :: d_step { acting == 0 -> acting = s + 1 }
#ifndef NO_GIVE_UP
    :: d_step { acting == 2 - s && !NONE(MINE) -> FOR_ALL(GIVE_UP) }         /* the other was elected: every fence is given up */
#endif
    :: d_step { ACTS && visible && !state[s] -> state[s] = true }            /* the doorbell's look: first the state line, on disk */
    :: d_step { MAY_FAIL && (ACTS || !NONE(MINE)) ->
        /* SIGKILL: its connections end; what was sent may arrive */
        if :: ACTS -> acting = 0 :: else fi;
        FOR_ALL(GIVE_UP); FORGET }
    :: d_step { MAY_FAIL && state[s] -> state[s] = false }         /* the state directory is lost */
    FOR_EACH(TAKE_FENCE)
    FOR_EACH(ATTEMPT)                                                        /* the resolver, with or without the coordinator */
    FOR_EACH(LOOK)                                                           /* the keeper: P */
    :: d_step { step != FIRST && !ACTS -> FORGET }                           /* the coordinator does not answer */
#ifdef NO_P_BEFORE_RF
    :: d_step { step == SECOND && HOLDS(s, at) && IDLE(at) -> step = THIRD }
    :: d_step { step == SECOND && !(HOLDS(s, at) && IDLE(at)) -> FORGET }
#elif defined(SPLIT_RF)
    :: d_step { step == SECOND && ACTS -> r = visible; step = 3 }
    :: d_step { step == 3 && ACTS -> f = F; step = THIRD }
#else
    :: d_step { step == SECOND && ACTS -> r = visible; f = F; step = THIRD } /* R and F, of one snapshot */
#endif
    :: d_step { step == THIRD ->
        if
        :: r -> state[s] = true                                              /* what follows is the resolver's */
        :: !r && f && HOLDS(s, at) && ORDER(s, at) == nothing -> ORDER(s, at) = rollback
        :: else
        fi;
        FORGET }
    od
}

#ifdef LIVE
active proctype weather() { calm = true }
#endif

init
{
    atomic {
        run node(0); run node(1);
#if N == 3
        run node(2);
#endif
        run sidecar(0); run sidecar(1)
    }
}

/* Once failures end, every branch ends; and by the assertions it ends as the local transaction did. */
#ifdef LIVE
ltl ended { (<> calm) -> (<> (txn == over && ALL(SETTLED))) }
#endif
