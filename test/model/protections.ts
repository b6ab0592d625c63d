/** Which models are checked how, and which protections are taken out of them one at a time to see the checker find out. */
export interface Run {
    readonly model: string
    /** Macros of the preprocessor. */
    readonly with: readonly string[]
    /** safety: no assertion fails and nothing is stuck. liveness: the LTL property too, with weak fairness. */
    readonly checks: 'safety' | 'liveness'
}

export const RUNS: readonly Run[] = [
    { model: 'core', with: ['N=2'], checks: 'safety' },
    { model: 'core', with: ['N=3'], checks: 'safety' },
    { model: 'core', with: ['N=2', 'LIVE'], checks: 'liveness' },
    { model: 'core', with: ['N=3', 'LIVE'], checks: 'liveness' },
    { model: 'fence', with: [], checks: 'safety' },
    { model: 'fate', with: [], checks: 'safety' },
    { model: 'failover', with: [], checks: 'safety' },
    { model: 'force', with: [], checks: 'safety' },
    { model: 'wakeup', with: ['SESSIONS=2'], checks: 'safety' },
    { model: 'wakeup', with: ['SESSIONS=3'], checks: 'safety' },
    { model: 'steps', with: [], checks: 'safety' },
    { model: 'orphans', with: [], checks: 'safety' }
]

export interface Protection {
    readonly macro: string
    readonly model: string
    /** What holds with it, and is taken away. */
    readonly protects: string
    /** Where it stands in the code. */
    readonly where: string
    /** A piece of what the checker must say. */
    readonly finds: string
    readonly with?: readonly string[]
    readonly checks?: 'liveness'
}

const CYCLE = 'acceptance cycle'

export const PROTECTIONS: readonly Protection[] = [
    {
        macro: 'NO_WAIT_FOR_PREPARE',
        model: 'core',
        protects: 'the local commit waits until every branch has answered that it is prepared',
        where: 'sql/internal/_prepare_set.sql',
        finds: 'branch[0]==',
        with: ['N=2']
    },
    {
        macro: 'SYNC_COMMIT_OFF',
        model: 'core',
        protects: 'synchronous_commit is raised, so that a decision is on disk before it is visible',
        where: 'sql/internal/_prepare_set.sql',
        finds: 'assertion violated durable',
        with: ['N=2']
    },
    {
        macro: 'NO_P_BEFORE_RF',
        model: 'core',
        protects: 'the node is looked at before the coordinator: an xid not handed out yet may be by the time its branch is seen',
        where: 'sidecar/recovery.ts (settle)',
        finds: 'txn==',
        with: ['N=2']
    },
    {
        macro: 'SPLIT_RF',
        model: 'core',
        protects: 'commit record and end of the local transaction are read in one snapshot',
        where: 'sql/sidecar/_decide.sql',
        finds: '!(durable)',
        with: ['N=2']
    },
    {
        macro: 'NO_F_CHECK',
        model: 'core',
        protects: 'a branch without a commit record is left alone while its local transaction runs',
        where: 'sql/sidecar/_decide.sql',
        finds: 'txn==',
        with: ['N=2']
    },
    {
        macro: 'NO_FENCE',
        model: 'core',
        protects: 'orders are sent only by the sidecar that holds the fence at the node',
        where: 'sidecar/node.ts (finish)',
        finds: 'fence[n]==',
        with: ['N=2']
    },
    {
        macro: 'NO_HANDS_CHECK',
        model: 'core',
        protects: "the fence is not taken while another sidecar's connections for orders are open at the node",
        where: 'sidecar/fence.ts (take), sql/node/hands.sql',
        finds: 'fence[n]==',
        with: ['N=2']
    },
    {
        macro: 'NO_GIVE_UP',
        model: 'core',
        protects: 'a sidecar that finds another elected gives every fence up',
        where: 'sidecar/sidecar.ts (election)',
        finds: CYCLE,
        with: ['N=2', 'LIVE'],
        checks: 'liveness'
    },
    {
        macro: 'NO_FENCE',
        model: 'fence',
        protects: 'an advisory lock at the node elects who finishes branches there',
        where: 'sidecar/fence.ts (take)',
        finds: 'hand['
    },
    {
        macro: 'NO_SECOND_LOOK',
        model: 'fence',
        protects: 'whoever got a lock looks again for rivals, which may hold the fence under another class because of a squatter',
        where: 'sidecar/fence.ts (take)',
        finds: 'hand['
    },
    {
        macro: 'NO_HANDS_CHECK',
        model: 'fence',
        protects: "whoever got a lock looks for connections on which another sidecar's orders may still be under way",
        where: 'sidecar/fence.ts (take), sql/node/hands.sql',
        finds: 'hand['
    },
    {
        macro: 'HANDS_UNCHECKED',
        model: 'fence',
        protects: 'a new connection for orders asks, once it can be seen, whether the fence is still held',
        where: 'sidecar/node.ts (openHand)',
        finds: 'hand['
    },
    {
        macro: 'ONE_LOOK',
        model: 'fence',
        protects: 'whoever judges by the sessions alone looks twice: they are not read at one moment',
        where: 'sidecar/fence.ts (takeAlone, isHeld)',
        finds: 'hand['
    },
    {
        macro: 'RIVALS_UNSEEN',
        model: 'fence',
        protects: 'whoever judges by the sessions sees no other of its login',
        where: 'sidecar/fence.ts (isAlone), sql/node/alone.sql',
        finds: 'hand['
    },
    {
        macro: 'ABSENT_IS_SUCCESS',
        model: 'fate',
        protects: '42704 is not success: the fate of the branch is looked up',
        where: 'sidecar/resolver.ts (lookUp)',
        finds: 'branch'
    },
    {
        macro: 'UNKNOWN_IS_FAILURE',
        model: 'fate',
        protects: 'a lost answer proves nothing: the node is asked again',
        where: 'sidecar/resolver.ts (attempt), sidecar/sqlstate.ts',
        finds: 'branch'
    },
    {
        macro: 'NO_TIMELINE_CHECK',
        model: 'fate',
        protects: "pg_xact_status counts only on the branch's time line: on another the xid may be another transaction's",
        where: 'sidecar/node.ts (lookUpFate), sql/node/look_up_fate.sql',
        finds: 'reused'
    },
    {
        macro: 'NO_RETENTION',
        model: 'fate',
        protects: 'commit records are kept for a time: a node can bring a finished branch back as prepared',
        where: 'sql/sidecar/_purge.sql',
        finds: 'assertion violated record'
    },
    {
        macro: 'NO_STATE_LINE_FIRST',
        model: 'failover',
        protects: 'the decision is in the state files before it is sent: an older backup of the coordinator is contradicted',
        where: 'sidecar/resolver.ts (decide)',
        finds: 'sent_commit'
    },
    {
        macro: 'NO_NONCE',
        model: 'failover',
        protects: 'an xid handed out twice, on two time lines, does not name two sets',
        where: 'sql/internal/_nonce.sql',
        finds: 'assertion violated record'
    },
    {
        macro: 'NO_START_RECORD',
        model: 'failover',
        protects: 'each server start is on record before a set of it prepares, or its branches would be strangers for good',
        where: 'sql/internal/_record_server_start.sql, _open_branch.sql',
        finds: 'prepared_all'
    },
    {
        macro: 'NO_NEW_TIMELINE',
        model: 'failover',
        protects: 'a set of a time line that was left, and of an xid never handed out here, is lost, not rolled back',
        where: 'sql/sidecar/_decide.sql',
        finds: 'knows'
    },
    {
        macro: 'NO_FIRST_XID',
        model: 'failover',
        protects: 'an xid handed out anew after a failover tells nothing about a set of the old time line',
        where: 'sql/sidecar/_decide.sql, sql/internal/_record_server_start.sql',
        finds: 'knows'
    },
    {
        macro: 'LOST_ROLLBACK_ASYNC',
        model: 'failover',
        protects: 'lost sets are left for a person unless replication is synchronous',
        where: 'sidecar/recovery.ts (settle), --lost-sets',
        finds: 'knows'
    },
    {
        macro: 'NO_STANDBY_CHECK',
        model: 'failover',
        protects: 'no decision is read from a server in recovery',
        where: 'sql/sidecar/_decide.sql, _hello.sql',
        finds: 'alive'
    },
    {
        macro: 'NO_HOME_CHECK',
        model: 'failover',
        protects: 'a sidecar from an unknown home does not act: its coordinator may be a clone',
        where: 'sql/sidecar/_hello.sql',
        finds: 'alive'
    },
    {
        macro: 'NO_END_SESSION',
        model: 'force',
        protects: 'the session of a running set is ended before the set is forced to roll back',
        where: 'sidecar/force.ts (endRunning)',
        finds: 'txn!='
    },
    {
        macro: 'NO_SECOND_CHECK',
        model: 'force',
        protects: 'after its session ended it is looked at again: it may have committed just before',
        where: 'sidecar/force.ts (endRunning)',
        finds: 'accepted'
    },
    {
        macro: 'NO_RECORD_FIRST',
        model: 'force',
        protects: 'an order is recorded before it is carried out',
        where: 'sidecar/force.ts (record), sql/sidecar/_record_forced.sql',
        finds: 'accepted'
    },
    {
        macro: 'NO_PLAN_AGAIN',
        model: 'force',
        protects: 'a plan that is no longer true cannot be confirmed',
        where: 'sidecar/plan.ts (fingerprint, confirmed)',
        finds: 'shown'
    },
    {
        macro: 'FATE_OF_PRESENT_ACTION',
        model: 'force',
        protects: 'the fate that is noted is that of the order that was answered, not of one that came meanwhile',
        where: 'sidecar/resolver.ts (attempt)',
        finds: 'sent'
    },
    {
        macro: 'DOORBELL_TEST_BEFORE_LOCK',
        model: 'wakeup',
        protects: 'a session takes "committing" before it tests "awake"',
        where: 'sql/internal/_ring.sql',
        finds: 'visible[k]'
    },
    {
        macro: 'NO_COMMITTING_TEST',
        model: 'wakeup',
        protects: 'the sidecar looks for "committing" after it dropped "awake"',
        where: 'sql/sidecar/_fall_asleep.sql',
        finds: 'visible[k]'
    },
    {
        macro: 'NO_FINAL_LOOK',
        model: 'wakeup',
        protects: 'the sidecar reads commit records once more before it sleeps',
        where: 'sidecar/lookout.ts (keep)',
        finds: 'visible[k]'
    },
    {
        macro: 'LOCKS_END_BEFORE_VISIBLE',
        model: 'wakeup',
        protects: 'both locks last until the local commit is visible',
        where: 'sql/internal/_ring.sql (transaction-level locks)',
        finds: 'visible[k]'
    },
    {
        macro: 'LISTEN_AFTER_LOOK',
        model: 'wakeup',
        protects: 'the doorbell is open before the first look',
        where: 'sidecar/sidecar.ts (serve), sidecar/doorbell.ts (open)',
        finds: 'visible[k]'
    },
    {
        macro: 'FORGET_RING',
        model: 'wakeup',
        protects: 'a ring since the last wait counts',
        where: 'sidecar/doorbell.ts (wait)',
        finds: 'visible[k]'
    },
    {
        macro: 'NO_STEP_CHECK',
        model: 'steps',
        protects: 'node and local transaction compare steps before PREPARE TRANSACTION',
        where: 'sql/internal/_prepare_text.sql',
        finds: 'step_there'
    },
    {
        macro: 'NO_PROLOGUE_CHECK',
        model: 'steps',
        protects: 'they compare before each statement too: two wrongs could count to the same number',
        where: 'sql/internal/_prologue.sql',
        finds: 'done_here'
    },
    {
        macro: 'IN_FLIGHT_FIRST',
        model: 'orphans',
        protects: "the node's sessions are read before the sets in flight",
        where: 'sidecar/orphans.ts, sql/sidecar/_orphaned.sql',
        finds: 'running'
    },
    {
        macro: 'MARK_LATE',
        model: 'orphans',
        protects: 'a set is marked in flight before its remote work begins',
        where: 'sql/internal/_open_branch.sql',
        finds: 'running'
    },
    {
        macro: 'NO_XACT_START',
        model: 'orphans',
        protects: 'a session is ended only in the very transaction that was seen',
        where: 'sql/node/end_session.sql',
        finds: 'running'
    }
]

/** What nothing protects from, by design: the checker must find it, or the README is wrong. */
export const LIMITS: readonly Protection[] = [
    {
        macro: 'HOST_CLONE',
        model: 'failover',
        protects: 'nothing tells a copy of the whole host, state directory and all, from the original while that is away from the nodes',
        where: 'sql/sidecar/_hello.sql',
        finds: 'alive'
    }
]
