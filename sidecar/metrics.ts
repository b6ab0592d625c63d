import { collectDefaultMetrics, Gauge } from 'prom-client'
import { aheadOf } from './clocks'
import { takeSurvey, type Facts, type NodeSurvey, type Survey } from './survey'
import type { Tally } from './tally'

type Samples = readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[]

/** Kinds of events that are always there, so that the first one is seen as a change from 0. */
const KINDS = [
    'forced commit',
    'forced rollback',
    'mixed',
    'unknown',
    'acknowledged',
    'contradiction',
    'disagreement',
    'drill failed',
    'node lost',
    'adopted',
    'state damaged',
    'state unwritable',
    'state writable',
    'deadlock',
    'deadlock victim'
]

interface Definition {
    readonly name: string
    readonly help: string
    readonly labels?: readonly string[]
    /** No sample: not known, and not there at all. */
    readonly read: (survey: Survey) => Samples
}

const one = (value: number | boolean | undefined): Samples => (value === undefined ? [] : [[{}, Number(value)]])

const perNode =
    (read: (node: NodeSurvey, survey: Survey) => number | boolean | undefined) =>
    (survey: Survey): Samples =>
        survey.nodes.flatMap((node) => {
            const value = read(node, survey)
            return value === undefined ? [] : [[{ node: node.keeper.node.address.name }, Number(value)] as const]
        })

const DEFINITIONS: readonly Definition[] = [
    {
        name: 'pglobalxact_build_info',
        help: 'Always 1; its label is the version of the sidecar.',
        labels: ['version'],
        read: ({ version }) => [[{ version }, 1]]
    },
    {
        name: 'pglobalxact_acting',
        help: '1 while this sidecar is the one that acts for the coordinator, 0 while it waits (another acts, its home is not allowed, the server is a standby) or has lost the coordinator. See: select * from pglobalxact.status();',
        read: ({ acting }) => one(acting)
    },
    {
        name: 'pglobalxact_coordinator_up',
        help: '1 while the sidecar is connected to the coordinator database. While it is not, decided sets are finished all the same, and nothing new is decided.',
        read: ({ coordinatorUp }) => one(coordinatorUp)
    },
    {
        name: 'pglobalxact_sets',
        help: 'Sets the sidecar has in hand, by phase: prepare (prepared on a node, local transaction still running), commit and rollback (decided, being carried out), incomplete (decided, and some branch failed or its node is down: tried again). See: select * from pglobalxact.sets();',
        labels: ['phase'],
        read: ({ phases, resolver }) => (resolver === undefined ? [] : Object.entries(phases).map(([phase, n]) => [{ phase }, n] as const))
    },
    {
        name: 'pglobalxact_in_doubt_age_seconds',
        help: 'Age of the oldest branch on the node that is prepared or decided and not finished, 0 when there is none: since its PREPARE by the clocks of node and sidecar, or since its commit record was seen if the node does not show it. It holds locks and holds back vacuum all that time. Branches left alone are not in it.',
        labels: ['node'],
        read: perNode((node) => node.oldest / 1000)
    },
    {
        name: 'pglobalxact_branches_unfinished',
        help: 'Branches of decided sets that the node has not carried out yet.',
        labels: ['node'],
        read: perNode((node) => node.unfinished)
    },
    {
        name: 'pglobalxact_branches_left_alone',
        help: 'Branches prepared on the node under a gid of this coordinator that the sidecar may not decide: a copy of the coordinator made them, or a failover lost their local transaction. They wait for a person. See: select * from pglobalxact.branches();',
        labels: ['node'],
        read: perNode((node) => node.leftAlone)
    },
    {
        name: 'pglobalxact_node_up',
        help: '1 if the node answered when it was last tried. See: select * from pglobalxact.nodes();',
        labels: ['node'],
        read: perNode(({ keeper }) => keeper.sight.answers)
    },
    {
        name: 'pglobalxact_node_fence_held',
        help: '1 while this sidecar holds the fence of the node. Without it, it finishes no branch there.',
        labels: ['node'],
        read: perNode(({ keeper }) => keeper.node.up)
    },
    {
        name: 'pglobalxact_node_prepared_slots_used',
        help: 'Prepared transactions on the whole server of the node, whoever made them. Not there while the node is down.',
        labels: ['node'],
        read: perNode(({ keeper }) => keeper.sight.slotsUsed)
    },
    {
        name: 'pglobalxact_node_prepared_slots_max',
        help: 'max_prepared_transactions of the node. When all are used, every COMMIT of a set with that node fails. Not there while the node is down.',
        labels: ['node'],
        read: perNode(({ keeper }) => keeper.sight.slots)
    },
    {
        name: 'pglobalxact_node_queue_length',
        help: 'Branches that wait for a connection to the node although it answers: it is slower than the load.',
        labels: ['node'],
        read: perNode(({ keeper }) => keeper.node.waiting)
    },
    {
        name: 'pglobalxact_node_clock_ahead_seconds',
        help: "How far the node's clock is ahead of the coordinator's, negative when it is behind: what the round trips may account for is taken off. While a clock is kept (keep_clock), COMMIT waits for the slowest clock of its set's servers. Not there while the node is down.",
        labels: ['node'],
        read: perNode(({ keeper: { sight } }, { figures }) => sight.clock && figures && aheadOf(sight.clock, figures.clock) / 1000)
    },
    {
        name: 'pglobalxact_clock_tolerance_seconds',
        help: "How far the clocks of a set's servers may be apart before its COMMIT fails (keep_clock). Not there while no clock is kept.",
        read: ({ figures }) => one(figures?.tolerance ?? undefined)
    },
    {
        name: 'pglobalxact_watch_streaming',
        help: '1 while the prepared transactions of a watched node are streamed, 0 while they are not. Not there for a node that is not watched. See: select * from pglobalxact.watched();',
        labels: ['node'],
        read: perNode(({ keeper }, { watches }) => watches?.watchers.get(keeper.node.address.number)?.streaming)
    },
    {
        name: 'pglobalxact_watch_wal_kept_ratio',
        help: 'The WAL that a watched node keeps for its slot, as a part of the bound (max_wal) at which the slot is made anew and the feed has a gap. Not there until the slot has been seen.',
        labels: ['node'],
        read: perNode(({ keeper }, { watches }) => watches?.watchers.get(keeper.node.address.number)?.keptRatio)
    },
    {
        name: 'pglobalxact_unacknowledged_sets',
        help: 'Complete sets on the books until a person acknowledges them, by outcome: mixed (some branch went the other way), unknown (a branch cannot be proved). Counted in the database: a restart forgets none. See: select * from pglobalxact.sets();',
        labels: ['outcome'],
        read: ({ figures }) =>
            figures === undefined
                ? []
                : [[{ outcome: 'mixed' }, figures.mixed] as const, [{ outcome: 'unknown' }, figures.unknown] as const]
    },
    {
        name: 'pglobalxact_events',
        help: 'Events in history, by kind, counted in the database: it falls when events older than the retention time are purged, and not at a restart.',
        labels: ['kind'],
        read: ({ figures }) => (figures === undefined ? [] : KINDS.map((kind) => [{ kind }, figures.events[kind] ?? 0] as const))
    },
    {
        name: 'pglobalxact_lost_nodes',
        help: 'Nodes that a person gave up as lost and that are still registered. Counted in the database.',
        read: ({ figures }) => one(figures?.lost_nodes)
    },
    {
        name: 'pglobalxact_paused',
        help: '1 while a person keeps new sets from beginning. Read from the database.',
        read: ({ figures }) => one(figures?.paused)
    },
    {
        name: 'pglobalxact_consumers',
        help: 'Consumers of events that have not expired. Counted in the database.',
        read: ({ figures }) => one(figures?.consumers.reading)
    },
    {
        name: 'pglobalxact_consumers_expired',
        help: 'Consumers of events that finished no batch for as long as was agreed: events are no longer kept for them. See: select * from pglobalxact.consumers();',
        read: ({ figures }) => one(figures?.consumers.expired)
    },
    {
        name: 'pglobalxact_consumer_lag_seconds',
        help: 'Time since the place of the consumer that is furthest behind and has not expired, 0 without one. Beyond the retention time, records are kept for it.',
        read: ({ figures }) => one(figures?.consumers.lag)
    },
    {
        name: 'pglobalxact_state_writable',
        help: '0 while the state files cannot be written: decided sets wait then, and no branch is committed.',
        read: ({ state }) => one(state && state.problem === undefined)
    },
    {
        name: 'pglobalxact_state_bytes',
        help: 'Size of the present state file; it is replaced by a compacted one at --segment-bytes, or when no set is live.',
        read: ({ state }) => one(state?.bytes)
    },
    {
        name: 'pglobalxact_state_sets',
        help: 'Sets in the state files: decided, and not yet written back as complete.',
        read: ({ state }) => one(state?.sets)
    },
    {
        name: 'pglobalxact_unwritten_results',
        help: 'Fates and complete sets that are not yet written back to the coordinator.',
        read: ({ resolver }) => one(resolver?.unwritten)
    }
]

/** All there is to scrape: what the tally counted, what the sidecar knows now, and the process itself. */
export class Metrics {
    private survey: Survey | undefined

    constructor(
        private readonly tally: Tally,
        private readonly facts: () => Facts
    ) {
        const current = (): Survey => (this.survey ??= takeSurvey(this.facts()))
        for (const { name, help, labels = [], read } of DEFINITIONS) {
            new Gauge({
                name,
                help,
                labelNames: labels,
                registers: [tally.registry],
                collect() {
                    this.reset()
                    const samples = read(current())
                    if (samples.length === 0 && labels.length === 0) this.remove()
                    for (const [of, value] of samples) this.set(of, value)
                }
            })
        }
        // The delay of the event loop is sampled by a timer: 10 ms, the usual, would wake an idle process a hundred times a second.
        collectDefaultMetrics({ register: tally.registry, eventLoopMonitoringPrecision: 100 })
    }

    get contentType(): string {
        return this.tally.registry.contentType
    }

    /** In Prometheus' text format. */
    text(): Promise<string> {
        this.survey = undefined
        return this.tally.registry.metrics()
    }

    /** One word on how the sidecar is, for a health check. */
    word(): 'acting' | 'waiting' | 'coordinator lost' {
        const { acting, coordinatorUp } = this.facts()
        return acting ? 'acting' : coordinatorUp ? 'waiting' : 'coordinator lost'
    }
}
