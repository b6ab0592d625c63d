/*
 * Forced outcomes: a person asks for force_commit or force_rollback of a set while its session runs, commits or aborts, and while
 * the sidecar finishes it.
 *
 *   txn, record         the local transaction; its commit record is visible
 *   branch[n]           the two branches, prepared when the model starts
 *   standing, shown     sql/sidecar/_standing.sql now; what the plan rested on that the person has seen (sidecar/plan.ts, fingerprint)
 *   forced, accepted    pglobalxact.forced, durable: the person's order; accept_mixed was given with it
 *   action[n], wire[n]  Branch.action; the order under way to the node, its answer awaited (Branch.busy)
 *   said[n]             the fate the resolver notes at the answer
 *   session()           commits or aborts, unless it is ended
 *   request()           sidecar/force.ts: makePlan, confirmed, endRunning, record, forceBranch
 *   sidecar()           the resolver and the keeper for branches that are decided or ordered; _decide.sql, where an order outranks the rule
 *
 * Left out: nodes that are away, standings lost and stranger for which there is no decision to go against, the fence, lost messages.
 */
mtype:txn = { running, committed, aborted };
mtype:branch = { prepared, ended_committed, ended_aborted };
mtype:action = { nothing, commit, rollback };

mtype:txn txn = running, shown;
mtype:branch branch[2] = prepared;
mtype:action forced = nothing, action[2] = nothing, wire[2] = nothing, answered[2] = nothing;
bool accepted, asked_mixed;
mtype:action asked;

active proctype session()
{
end:
    if
    :: d_step { txn == running -> txn = committed }
    :: d_step { txn == running -> txn = aborted }
    fi
}

#define AGAINST(a) ((txn == committed && a == rollback) || (txn == aborted && a == commit))

active proctype request()
{
    byte n;
    if :: asked = commit :: asked = rollback fi;
    if :: asked_mixed = true :: skip fi;
    if                                                            /* the plan, and what it refuses at once */
    :: d_step { txn == running && asked == rollback -> shown = running }
    :: d_step { txn != running && (asked_mixed || !AGAINST(asked)) -> shown = txn }
    :: d_step { txn == running && asked == commit -> skip } goto refused
    :: d_step { txn != running && AGAINST(asked) && !asked_mixed -> skip } goto refused
    fi;
    /* The person reads it, and confirms. The plan is made anew. */
#ifdef NO_PLAN_AGAIN
#define SAME_PLAN true
#else
#define SAME_PLAN (txn == shown)
#endif
    if
    :: d_step { SAME_PLAN -> assert(!AGAINST(asked) || shown == txn) }/* who goes against a decision has seen so */
    :: d_step { !SAME_PLAN -> skip } goto refused                 /* the plan has changed since it was shown */
    fi;
    if
    :: shown == running ->
#ifndef NO_END_SESSION
        d_step { if :: txn == running -> txn = aborted :: else fi }/* pg_terminate_backend, then wait until it is over */
#endif
#ifndef NO_SECOND_CHECK
        if
        :: d_step { AGAINST(asked) && !asked_mixed -> skip } goto refused /* it had committed just before */
        :: !AGAINST(asked) || asked_mixed
        fi
#endif
    :: shown != running
    fi;
#ifndef NO_RECORD_FIRST
    d_step { forced = asked; accepted = asked_mixed };
#endif
    n = 0;
    do
    :: d_step { n < 2 && branch[n] == prepared && wire[n] == nothing -> action[n] = asked; wire[n] = asked; n++ }
    :: d_step { n < 2 && !(branch[n] == prepared && wire[n] == nothing) -> action[n] = asked; n++ }   /* busy: its action is changed all the same */
#ifdef NO_RECORD_FIRST
    :: n < 2 -> goto refused                                      /* SIGKILL: nobody remembers the order */
#endif
    :: n == 2 -> break
    od;
refused:
    skip
}

#define DECIDED (forced != nothing || txn != running)
#define WANTED (forced != nothing -> forced : (txn == committed -> commit : rollback))

proctype node(byte n)
{
    mtype:action sent;
end:
    do
    :: d_step { DECIDED && branch[n] == prepared && wire[n] == nothing && answered[n] == nothing ->
        action[n] = WANTED; wire[n] = action[n] }
    :: d_step { wire[n] != nothing && branch[n] == prepared ->
        assert(txn != running);                                   /* never a running set's */
        assert(!AGAINST(wire[n]) || (forced == wire[n] && accepted));/* against the decision by a recorded order that accepts it only */
        branch[n] = (wire[n] == commit -> ended_committed : ended_aborted);
        answered[n] = wire[n]; wire[n] = nothing }
    :: d_step { wire[n] != nothing && branch[n] != prepared -> wire[n] = nothing }
    :: d_step { answered[n] != nothing ->
#ifdef FATE_OF_PRESENT_ACTION
        sent = action[n];
#else
        sent = answered[n];
#endif
        assert((branch[n] == ended_committed) == (sent == commit));/* what is noted is what was done */
        answered[n] = nothing; sent = nothing }
    :: timeout ->
        assert(branch[n] != prepared);
        break
    od
}

init { atomic { run node(0); run node(1) } }
