/*
 * What became of a branch: one branch of a committed set on one node, whose answers get lost, which fails over to a standby that
 * lags, and on which a person may finish the branch by hand.
 *
 *   branch              the branch on the node that answers now; "unheard": a standby took over that had not heard of the PREPARE
 *   time_line           of the node that answers; the branch was prepared on the first
 *   reused              on the new time line another transaction may have the branch's xid: how that one ended
 *   wire, late          COMMIT PREPARED, and the answer to it; an order that arrives after its connection was given up (sidecar/finisher.ts)
 *   fate, proved        what the sidecar says of the branch; "unheard" is its "unknown" (sidecar/resolver.ts, finished)
 *   complete            the coordinator has been told (resolver.ts, flush; sql/sidecar/_finish.sql)
 *   record              the commit record, kept for the retention time after completion (sql/sidecar/_purge.sql)
 *   sidecar()           Resolver.attempt and lookUp, Node.lookUpFate, Keeper.commitLate; sql/node/look_up_fate.sql
 *
 * Left out: the decision itself (core.pml). A failover later than the retention time. What a node loses in a failover after it answered
 * "committed", or a person does to a branch that came back so, is the node's own broken promise: nobody is left to notice.
 */
#define BREAKS 2

mtype:branch = { unheard, prepared, committed, aborted };
mtype:wire = { nothing, asked, done, absent, lost };

mtype:branch branch = prepared, reused = unheard, fate = unheard;
mtype:wire wire = nothing;
bool late, proved, complete, record = true;
byte time_line = 1, breaks;

active proctype node()
{
end:
    do
    :: d_step { wire == asked && branch == prepared -> branch = committed; wire = done }
    :: d_step { wire == asked && branch != prepared -> wire = absent }
    :: d_step { late && branch == prepared -> branch = committed; late = false }
    :: d_step { late && branch != prepared -> late = false }
    :: atomic { breaks < BREAKS && wire != nothing && wire != lost ->
        breaks++;
        if :: wire == asked -> late = true :: skip fi;
        wire = lost }
    :: atomic { time_line == 1 && record ->
        time_line = 2; late = false;
        if :: wire != nothing -> wire = lost :: else fi;
        if
        :: skip                                                  /* it had heard all */
        :: branch = prepared                                     /* all but the end */
        :: branch = unheard;
            if :: reused = committed :: reused = aborted :: skip fi
        fi }
    od
}

active proctype person()
{
    if
    :: d_step { branch == prepared -> branch = aborted }         /* ROLLBACK PREPARED by hand */
    :: d_step { branch == prepared -> branch = committed }
    :: skip
    fi
}

#ifdef NO_RETENTION
#define MAY_PURGE complete
#else
#define MAY_PURGE (complete && time_line == 2 && branch != prepared)   /* whatever comes back, comes back before */
#endif

active proctype purge()
{
end:
    d_step { MAY_PURGE -> record = false }
#ifdef NO_RETENTION
    if
    :: d_step { time_line == 1 && branch == committed -> time_line = 2; branch = prepared }
    :: skip
    fi
#endif
}

inline say(what)
{
    assert(what == unheard || what == branch);                   /* "committed" and "rolled back" are said when they are true */
    fate = what; proved = true; wire = nothing
}

active proctype sidecar()
{
end:
    do
    :: d_step { !proved && !complete && wire == nothing -> wire = asked }
    :: d_step { wire == done -> fate = committed; proved = true; wire = nothing }
#ifdef ABSENT_IS_SUCCESS
    :: d_step { wire == absent -> say(committed) }
#else
    :: d_step { wire == absent && branch == prepared -> wire = nothing }               /* prepared after all */
#ifdef NO_TIMELINE_CHECK
    :: d_step { wire == absent && branch == unheard && reused != unheard -> say(reused) }
    :: d_step { wire == absent && branch == unheard && reused == unheard -> say(unheard) }
    :: d_step { wire == absent && branch != prepared && branch != unheard -> say(branch) }
#else
    :: d_step { wire == absent && branch != prepared && time_line != 1 -> say(unheard) } /* pg_xact_status proves nothing here */
    :: d_step { wire == absent && branch != prepared && time_line == 1 -> say(branch) }
#endif
#endif
#ifdef UNKNOWN_IS_FAILURE
    :: d_step { wire == lost -> say(aborted) }
#else
    :: d_step { wire == lost -> wire = nothing }                                       /* ask again, assume nothing */
#endif
    :: d_step { proved && !complete -> complete = true }
    :: d_step { proved && !complete && breaks < BREAKS -> breaks++; proved = false }   /* SIGKILL before it could tell: found out again */
    :: d_step { complete && branch == prepared && wire == nothing ->                   /* a finished branch has come back */
        if
        :: record -> wire = asked
        :: !record -> assert(record)                                                   /* it would be presumed aborted */
        fi }
    :: timeout ->
        assert(branch != prepared && complete);
        assert(branch == committed || fate != committed || time_line == 2);            /* a mixed set is shown as one */
        break
    od
}
