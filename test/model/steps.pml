/*
 * The step check: a branch that is prepared has done exactly what the local transaction counts on, in spite of savepoints, caught
 * errors, and a COMMIT smuggled into the remote SQL.
 *
 *   done_here, done_there    the statements (bits) whose effects stand in the local transaction, and in the branch
 *   step, step_there         branch_record.step (sql/internal/_join_set.sql); the setting pglobalxact.step at the node, 0 when it is gone
 *   saved_*                  what a savepoint would bring back
 *   session()                exec (sql/internal/_run_step.sql), with the check before each statement (_prologue.sql) and the one before
 *                            PREPARE TRANSACTION (_prepare_text.sql)
 *
 * Left out: more than one node: each branch is counted alone.
 */
#define STATEMENTS 4

byte done_here, done_there, step, step_there, saved_step, saved_done, next;
bool saved, opened;

#ifdef NO_PROLOGUE_CHECK
#define MAY_STEP true
#else
#define MAY_STEP (step_there == step)
#endif
#ifdef NO_STEP_CHECK
#define MAY_PREPARE true
#else
#define MAY_PREPARE (step_there == step)
#endif

active proctype session()
{
    do
    :: d_step { next < STATEMENTS && (MAY_STEP || step == 0) ->
        if :: step == 0 && step_there != 0 -> next = STATEMENTS; step = 99 /* "an older branch is open": an error, and the set aborts */
        :: else -> step++; step_there = step;
            done_here = done_here | (1 << next); done_there = done_there | (1 << next); next++
        fi }
    :: d_step { next < STATEMENTS && !(MAY_STEP || step == 0) -> step = 99 }  /* an error: the set aborts */
    :: d_step { !saved && step < 99 -> saved = true; saved_step = step; saved_done = done_here }
    :: d_step { saved && step < 99 -> saved = false; step = saved_step; done_here = saved_done }  /* ROLLBACK TO, or a caught error */
    :: d_step { step_there > 0 -> step_there = 0 }                            /* COMMIT or ROLLBACK in the remote SQL: what was done is out of reach */
        done_there = 0
    :: step == 99 -> break
    :: step > 0 && step < 99 ->
        if
        :: d_step { MAY_PREPARE && step_there > 0 -> assert(done_here == done_there) }
        :: d_step { !MAY_PREPARE || step_there == 0 ->
#ifdef NO_STEP_CHECK
            assert(step_there > 0)                                            /* committed locally, and there is no branch */
#else
            skip
#endif
            }
        fi;
        break
    od
}
