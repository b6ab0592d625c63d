/*
 * Remote work whose local transaction is over is ended, and nothing else: no SQL hook fires at a local ROLLBACK, so the sidecar looks.
 *
 *   txn           the number of the session's local transaction; running: it is under way, and has a branch on the node or is about to
 *   in_flight     its shared advisory lock for the node (sql/internal/_mark_in_flight.sql)
 *   remote        the transaction open on the node for the session: the number of its local one, 0 for none (xact_start tells them apart)
 *   session()     _run_step.sql, _open_branch.sql, _renew.sql; then COMMIT, ROLLBACK or death
 *   sidecar()     sidecar/orphans.ts: first the node's sessions, then those in flight (_orphaned.sql), then end_session.sql
 *
 * Left out: other sessions; pids handed out again on another start of the server (the session's name carries a tag of the start).
 */
#define TRANSACTIONS 3

byte txn, remote;
bool running, in_flight, ended;

active proctype session()
{
    do
    :: d_step { txn < TRANSACTIONS -> txn++; running = true }
#ifdef MARK_LATE
        d_step { if :: remote != 0 -> remote = 0 :: else fi };
        remote = txn;
        in_flight = true;
#else
        in_flight = true;
        d_step { if :: remote != 0 -> remote = 0 :: else fi };      /* rolled back by the session itself: its next set is at work here */
        remote = txn;
#endif
        if
        :: d_step { remote = 0; running = false; in_flight = false }/* COMMIT: prepared, and no session's any more */
        :: d_step { running = false; in_flight = false }            /* ROLLBACK, which tells nobody */
        fi
    :: break
    od;
    ended = true
}

active proctype sidecar()
{
    byte seen;
    bool orphaned;
end:
    do
#ifdef IN_FLIGHT_FIRST
    :: d_step { !in_flight && remote + running > 0 -> orphaned = true }
        if
        :: d_step { remote != 0 -> seen = remote }
        :: d_step { remote == 0 -> orphaned = false }
        fi;
#else
    :: d_step { remote != 0 -> seen = remote }
        orphaned = !in_flight;
#endif
        if
        :: d_step { orphaned &&
#ifdef NO_XACT_START
            remote != 0 ->
#else
            remote == seen ->
#endif
            assert(!(running && txn == remote));                    /* never a running set's */
            remote = 0; seen = 0; orphaned = false }
        :: d_step { else -> seen = 0; orphaned = false }
        fi
    :: timeout -> assert(remote == 0); break                        /* nothing is left open */
    od
}
