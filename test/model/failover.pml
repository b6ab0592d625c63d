/*
 * Whose set is it? One set with two branches, made on the original coordinator; then a copy of its database comes up as a
 * coordinator too: a standby that takes over (synchronous or not), an older backup, or a clone beside the living original.
 *
 *   kind                what the copy is
 *   txn, record         the set's local transaction on the original; its commit record is visible there
 *   knows, copied       the copy has handed out the set's xid too; the commit record has reached it
 *   anew                the copy hands the same xid out again: that other transaction, and how it ended
 *   copy_up, alive      the copy accepts writes (before: in recovery); the original lives
 *   host                the original's sidecar runs; after a failover it may go on for a while with what its state files say
 *   branch[n], fence[n] the branches on the two nodes; the sidecar that holds the fence
 *   order[s, n]         COMMIT or ROLLBACK PREPARED under way, of the original's sidecar (0) or the copy's (1)
 *   sidecar 0           of the original; it keeps its state files, and after a restore acts for what was restored
 *   sidecar 1           beside the copy, with a home of its own (allowed before a planned failover: allow_home; unknown to a clone's original)
 *   state               "commit" stands in the state files of sidecar 0
 *   VERDICT             sql/sidecar/_decide.sql on the copy: record; start (_own_start.sql); time line and first_xid (_record_server_start.sql)
 *
 * Left out: what core.pml has. A copy of the whole host, state directory and all, that comes up while the original is away: nothing
 * tells it from the original (-DHOST_CLONE shows it: a known limit). A first look that comes late (docs/protocol.md): sidecar 1 is there
 * before the new time line hands out an xid.
 */
mtype:kind = { none, synchronous, asynchronous, backup, clone };
mtype:txn = { unborn, running, committed, aborted };
mtype:branch = { prepared, ended_committed, ended_aborted };
mtype:order = { nothing, commit, rollback };
mtype:verdict = { leave, to_commit, to_roll_back };

mtype:kind kind = none;
mtype:txn txn = unborn, anew = unborn;
bool record, knows, copied, copy_up, alive = true, host = true, lost_sets_rollback, state, sent_commit, prepared_all;
mtype:branch branch[2] = prepared;
byte fence[2];
mtype:order order[4] = nothing;

#define ORDER(s, n) order[(s) * 2 + (n)]
#define GIVE_UP(n) if :: fence[n] == 1 -> fence[n] = 0 :: else fi
#define IN_HAND(n) (prepared_all && branch[n] == prepared)

active proctype session()
{
    if :: d_step { alive -> txn = running } :: !alive -> goto stop fi;
    if :: d_step { alive -> prepared_all = true } :: !alive -> goto stop fi;
    if
    :: d_step { alive && kind != synchronous -> txn = committed; record = true }
    :: d_step { alive && kind == synchronous -> txn = committed; record = true; knows = true; copied = true }
    :: d_step { alive -> txn = aborted }
    :: !alive
    fi;
stop:
    skip
}

/* The copy: made at any moment, with what was there; then it comes up. */
active proctype copy()
{
    atomic {
        knows = (txn != unborn); copied = record;
        if :: kind = synchronous :: kind = asynchronous :: kind = backup :: kind = clone fi
    }
    if
    :: d_step { kind == synchronous || kind == asynchronous -> knows = (knows || txn != unborn); copied = record }  /* it streams */
    :: skip
    fi;
    atomic {
        if
        :: kind == clone
        :: kind != clone -> alive = false; if :: txn == running -> txn = aborted :: else fi
        fi;
#ifdef LOST_ROLLBACK_ASYNC
        if :: kind == synchronous || kind == asynchronous -> lost_sets_rollback = true :: else fi;
#else
        if :: kind == synchronous -> lost_sets_rollback = true :: true fi;    /* --lost-sets rollback: for synchronous replication */
#endif
        copy_up = true
    }
    if                                                            /* its xids go on from where it was copied */
    :: d_step { !knows -> anew = running }
        if :: anew = committed :: anew = aborted fi
    :: skip
    fi;
    if
    :: d_step { kind == synchronous || kind == asynchronous ->    /* the old host's sidecar ends, some time */
        host = false; GIVE_UP(0); GIVE_UP(1) }
    :: kind == backup || kind == clone
    fi
}

#ifdef NO_NONCE
#define R_ (copied || anew == committed)
#define RUNS_ (anew == running)
#define F_ (knows || anew == aborted || anew == committed)
#else
#define R_ copied
#define RUNS_ false                                               /* its nonce names an earlier start: whoever runs under the xid is another */
#ifdef NO_FIRST_XID
#define F_ (knows || anew == committed || anew == aborted)
#else
#define F_ knows                                                  /* below first_xid of the new time line */
#endif
#endif
#ifdef NO_NEW_TIMELINE
#define LOST_ false                                               /* "it names an earlier start, so it is over" without regard to the time line */
#else
#define LOST_ (!F_ && !lost_sets_rollback)
#endif
#ifdef NO_START_RECORD
#define STRANGER_ true                                             /* no recorded start has its nonce */
#else
#define STRANGER_ false
#endif
#define VERDICT (R_ -> to_commit : (RUNS_ || STRANGER_ -> leave : (LOST_ -> leave : to_roll_back)))

#ifdef NO_HOME_CHECK
#define MAY_ACT(s) true
#else
#ifdef HOST_CLONE
#define MAY_ACT(s) true
#else
#define MAY_ACT(s) (kind != clone || s == 0)                      /* the copied list of homes does not name a clone's sidecar */
#endif
#endif
#ifdef NO_STANDBY_CHECK
#define READABLE (kind != none)
#else
#define READABLE copy_up
#endif

#define USES_COPY(s) (s == 1 || (kind == backup && copy_up))
#define TAKE_FENCE(s, n) :: d_step { fence[n] == 0 && ORDER(1 - s, n) == nothing && WORKS(s) && (s == 0 || READABLE && MAY_ACT(1)) -> fence[n] = s + 1 }
#define WORKS(s) (s == 1 -> (kind == synchronous || kind == asynchronous || kind == clone) : host)
#define FREE_HAND(s, n) (WORKS(s) && fence[n] == s + 1 && ORDER(s, n) == nothing && IN_HAND(n))

/* On the original. */
#ifdef NO_STATE_LINE_FIRST
#define DECIDED_HERE (state || alive && record)
#else
#define DECIDED_HERE state
#endif
#define COMMIT_HERE(n) :: d_step { FREE_HAND(0, n) && DECIDED_HERE -> ORDER(0, n) = commit; sent_commit = true }
#define ROLL_BACK_HERE(n) :: d_step { FREE_HAND(0, n) && alive && txn == aborted -> ORDER(0, n) = rollback }
/* On the copy. What stands in the state files outranks it: "contradiction" (recovery.ts). */
#define COMMIT_THERE(s, n) :: d_step { FREE_HAND(s, n) && USES_COPY(s) && READABLE && MAY_ACT(s) && VERDICT == to_commit -> ORDER(s, n) = commit; sent_commit = true }
#define ROLL_BACK_THERE(s, n) :: d_step { FREE_HAND(s, n) && USES_COPY(s) && READABLE && MAY_ACT(s) && VERDICT == to_roll_back && !(s == 0 && state) -> \
    assert(knows || kind == synchronous);                         /* never a set that it cannot know */ \
    ORDER(s, n) = rollback }

active proctype original_sidecar()
{
end:
    do
    TAKE_FENCE(0, 0)
    TAKE_FENCE(0, 1)
    :: d_step { alive && record && !state -> state = true }
    COMMIT_HERE(0)
    COMMIT_HERE(1)
    ROLL_BACK_HERE(0)
    ROLL_BACK_HERE(1)
    COMMIT_THERE(0, 0)
    COMMIT_THERE(0, 1)
    ROLL_BACK_THERE(0, 0)
    ROLL_BACK_THERE(0, 1)
    od
}

active proctype copys_sidecar()
{
end:
    do
    TAKE_FENCE(1, 0)
    TAKE_FENCE(1, 1)
    COMMIT_THERE(1, 0)
    COMMIT_THERE(1, 1)
    ROLL_BACK_THERE(1, 0)
    ROLL_BACK_THERE(1, 1)
    od
}

bool breaks;
#define LEFT_ALONE (!knows && !copied && !(state && host) && kind != clone || kind == clone && (fence[0] == 2 || fence[1] == 2))  /* lost: reported, and left for a person */
#define ARRIVES(s, n) \
    :: d_step { ORDER(s, n) != nothing -> \
        if \
        :: branch[n] != prepared \
        :: branch[n] == prepared && ORDER(s, n) == commit -> \
            assert(record); \
            branch[n] = ended_committed \
        :: branch[n] == prepared && ORDER(s, n) == rollback -> \
            assert(txn == aborted || !alive);                     /* never what runs or is committed where it was made */ \
            assert(!USES_COPY(s) || kind != clone);               /* a clone touches nothing */ \
            assert(!copied);                                      /* never against the commit record */ \
            assert(kind == asynchronous || !sent_commit || branch[1 - n] != ended_committed);    /* and no set ends both ways */ \
            branch[n] = ended_aborted \
        fi; \
        ORDER(s, n) = nothing }

active proctype network()
{
end:
    do
    ARRIVES(0, 0)
    ARRIVES(0, 1)
    ARRIVES(1, 0)
    ARRIVES(1, 1)
    :: d_step { !breaks && (fence[0] == 1 || fence[1] == 1) -> breaks = true;      /* the original's sidecar stops, or is cut off from the nodes */
        GIVE_UP(0); GIVE_UP(1) }
    :: timeout ->
        assert(!prepared_all || !IN_HAND(0) && !IN_HAND(1) || LEFT_ALONE);
        break
    od
}
