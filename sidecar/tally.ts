import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** SQLSTATE classes told apart; what a node makes up itself is "other", so that it cannot make series without end. */
const CLASSES = new Set('08 0A 22 23 25 26 28 2B 2D 2F 39 3B 3D 3F 40 42 53 54 55 57 58 XX'.split(' '))

const WINDOW = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]
const SYNC = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
const LOOK = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 10]
const LINES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096]

/**
 * What is counted as it happens, since this process started; sidecar/metrics.ts has what is read when Prometheus asks.
 * On the way of every set: nothing here costs more than one observe() or inc().
 */
export class Tally {
    readonly registry = new Registry()

    private readonly branches = new Counter({
        name: 'pglobalxact_branches_finished_total',
        help:
            'Branches that were finished since the sidecar started, by node and fate: committed or rolled back (by the sidecar, or found to be), unknown (the node ' +
            'cannot tell any more), and those that people stopped waiting for: forced commit, forced rollback, lost.',
        labelNames: ['node', 'fate'],
        registers: [this.registry]
    })
    private readonly retries = new Counter({
        name: 'pglobalxact_branch_retries_total',
        help:
            'Tries to finish a branch that failed and will be made again, by node and class of the error: the first two characters of its SQLSTATE, ' +
            '"network" when no server sent it, "other" for a class PostgreSQL does not have.',
        labelNames: ['node', 'class'],
        registers: [this.registry]
    })
    private readonly window = new Histogram({
        name: 'pglobalxact_half_committed_seconds',
        help:
            'How long committed sets stood half-committed: from the moment the sidecar saw the commit record (a little after the local commit itself, ' +
            'which it cannot see) until the last branch was committed on its node, or found to be. Counts a set when it ends; after a restart from the time in ' +
            'the state files. Sets that were forced, mixed or unknown are not in it.',
        buckets: WINDOW,
        registers: [this.registry]
    })
    private readonly syncs = new Histogram({
        name: 'pglobalxact_state_sync_seconds',
        help: 'Time that one fsync of a state file took. No COMMIT PREPARED is sent before it.',
        buckets: SYNC,
        registers: [this.registry]
    })
    private readonly lines = new Histogram({
        name: 'pglobalxact_state_sync_lines',
        help: 'Lines made durable by one fsync of a state file: more under load, as all that wait share one.',
        buckets: LINES,
        registers: [this.registry]
    })
    private readonly requests = new Counter({
        name: 'pglobalxact_requests_total',
        help: 'Requests of people (force_commit, retry, check_node, ...) since the sidecar started, by result: done or refused.',
        labelNames: ['result'],
        registers: [this.registry]
    })
    private readonly gate = new Histogram({
        name: 'pglobalxact_gate_held_seconds',
        help: 'For how long commits of sets were held at the gate (export_snapshots, create_restore_point).',
        buckets: SYNC,
        registers: [this.registry]
    })
    private readonly exports = new Gauge({
        name: 'pglobalxact_snapshot_exports',
        help: 'Exports of snapshots that are held open (export_snapshots): they hold back vacuum on all their servers until they are released or expire.',
        registers: [this.registry]
    })

    private readonly deadlocks = new Counter({
        name: 'pglobalxact_deadlocks_total',
        help: 'Deadlocks over several servers since the sidecar started, by result: found, and cancelled (their youngest set was, to end them). See: select * from pglobalxact.deadlocks();',
        labelNames: ['result'],
        registers: [this.registry]
    })
    private readonly standing = new Gauge({
        name: 'pglobalxact_deadlocks_standing',
        help: 'Deadlocks over several servers that stood at the last look; 0 while nobody looks. One that stays is ended by nobody: see select * from pglobalxact.deadlocks();',
        registers: [this.registry]
    })
    private readonly deadlockQueries = new Histogram({
        name: 'pglobalxact_deadlock_query_seconds',
        help: 'Time that one query of the search for deadlocks took, at the coordinator or a node, until it was answered.',
        buckets: LOOK,
        registers: [this.registry]
    })

    constructor() {
        for (const result of ['found', 'cancelled']) this.deadlocks.inc({ result }, 0)
        for (const result of ['done', 'refused']) this.requests.inc({ result }, 0)
    }

    finished(node: string, fate: string): void {
        this.branches.inc({ node, fate })
    }

    retried(node: string, sqlstate: string | undefined): void {
        const found = sqlstate?.slice(0, 2)
        this.retries.inc({ node, class: found === undefined ? 'network' : CLASSES.has(found) ? found : 'other' })
    }

    halfCommitted(milliseconds: number): void {
        this.window.observe(Math.max(milliseconds, 0) / 1000)
    }

    synced(milliseconds: number, lines: number): void {
        this.syncs.observe(milliseconds / 1000)
        this.lines.observe(lines)
    }

    gateHeld(milliseconds: number): void {
        this.gate.observe(milliseconds / 1000)
    }

    /** How many exports there are now. */
    snapshotsHeld(exports: number): void {
        this.exports.set(exports)
    }

    deadlock(result: 'found' | 'cancelled'): void {
        this.deadlocks.inc({ result })
    }

    /** How many there are now. */
    deadlocksStand(count: number): void {
        this.standing.set(count)
    }

    lookedForDeadlocks(milliseconds: number): void {
        this.deadlockQueries.observe(milliseconds / 1000)
    }

    answered(result: 'done' | 'refused'): void {
        this.requests.inc({ result })
    }
}
