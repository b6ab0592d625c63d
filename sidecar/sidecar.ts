import { setTimeout as sleep } from 'node:timers/promises'
import { beginActing, type Acting } from './acting'
import { lastWords } from './alarm'
import { Catalog } from './catalog'
import type { Config } from './config'
import { coordinatorConnection, type ConnectionConfig } from './connection'
import { Deadlocks } from './deadlocks'
import { examine } from './doctor'
import { Doorbell } from './doorbell'
import { checkSchema, elect, refusedLogin } from './election'
import type { FaultPoints } from './fault'
import { Housekeeping } from './housekeeping'
import { Journal } from './journal'
import type { Log } from './log'
import { Lookout } from './lookout'
import { Metrics } from './metrics'
import type { Introduction, Welcome } from './records'
import { Refusal } from './refusal'
import { replay, type Replayed } from './replay'
import { Requests } from './requests'
import { RestorePoints } from './restorepoints'
import { serveMetrics } from './scrape'
import type { Patient } from './sidecarcheck'
import { Snapshots } from './snapshots'
import { messageOf } from './sqlstate'
import { openStateDir, type StateDir } from './statedir'
import type { Facts } from './survey'
import { Tally } from './tally'

const RECONNECT = 250 // ms between tries to reach the coordinator
const LEAST_PATIENCE = 10_000
const PATIENCE = 3 // times what a node may take: a coordinator that answers nothing for so long is lost, and the nodes are served without it
const LAST_WORDS = 1000 // ms

/** The process: connects, is elected, looks, and keeps house. Data goes one way: doorbell, look, state file, nodes, back into SQL. */
export class Sidecar {
    private catalog: Catalog | undefined
    /** Connected, be it that this sidecar acts or waits. */
    private connected = false
    private acting: Acting | undefined
    private readonly connection: ConnectionConfig
    private readonly doorbell: Doorbell
    private readonly tally = new Tally()
    private readonly journal: Journal
    private readonly lookout: Lookout
    private readonly housekeeping: Housekeeping
    private readonly snapshots: Snapshots
    private readonly restorePoints: RestorePoints
    private readonly deadlocks: Deadlocks
    private stopping = false
    private complaint = ''

    private constructor(
        private readonly config: Config,
        private readonly directory: StateDir,
        private readonly read: Replayed,
        private readonly who: Omit<Introduction, 'home' | 'stateDirectory' | 'belongsTo'>,
        private readonly uid: number,
        private readonly log: Log,
        private readonly fault: FaultPoints
    ) {
        this.connection = { ...coordinatorConnection(config), query_timeout: Math.max(LEAST_PATIENCE, PATIENCE * config.nodeTimeout) }
        this.snapshots = new Snapshots(this.connection, (exports) => this.tally.snapshotsHeld(exports))
        this.restorePoints = new RestorePoints(this.connection)
        this.doorbell = new Doorbell(this.connection, log)
        this.journal = new Journal(log)
        this.lookout = new Lookout({ doorbell: this.doorbell, log, scanInterval: config.scanInterval })
        this.deadlocks = new Deadlocks({ log, journal: this.journal, tally: this.tally })
        this.housekeeping = new Housekeeping({
            config,
            doorbell: this.doorbell,
            journal: this.journal,
            lookedAt: () => this.lookout.lookedAt,
            tidy: (catalog, { coordinator, nodes }) =>
                void this.restorePoints.tidy({ catalog, coordinator, keepers: nodes.keepers, config, log }),
            complain: (what) => this.complain(what)
        })
    }

    /** Everything that can be wrong with the state directory is said here, before the database is needed. */
    static async prepare(
        config: Config,
        who: Omit<Introduction, 'home' | 'stateDirectory' | 'belongsTo'>,
        uid: number,
        log: Log,
        fault: FaultPoints
    ): Promise<Sidecar> {
        const directory = await openStateDir(config.stateDir, uid)
        const read = await replay(config.stateDir, fault).catch(async (error: unknown) => {
            if (error instanceof Refusal) await lastWords(coordinatorConnection(config), 'state damaged', error.message, log)
            throw error
        })
        if (read.torn !== undefined) log.warning('dropped a line that a crash left unfinished', { at: read.torn })
        log.info('state directory read', { directory: config.stateDir, home: directory.home, sets: read.live.size })
        return new Sidecar(config, directory, read, who, uid, log, fault)
    }

    /** Runs until stop(). Throws a Refusal when a person is needed first. */
    async run(): Promise<void> {
        const { metrics } = this.config
        const server = metrics && (await serveMetrics(metrics, new Metrics(this.tally, () => this.facts()), this.log))
        try {
            while (!this.stopping) {
                await this.serve()
                if (!this.stopping) await sleep(RECONNECT)
            }
        } finally {
            server?.close()
            await this.shutDown()
        }
    }

    stop(): void {
        this.stopping = true
        this.doorbell.ring()
        this.housekeeping.hurry()
        this.deadlocks.hurry()
    }

    private facts(): Facts {
        const { version } = this.who
        const acting = this.catalog !== undefined
        const { state, resolver, nodes, watches } = this.acting ?? {}
        const keepers = [...(nodes?.keepers.values() ?? [])]
        return { version, coordinatorUp: this.connected, acting, state, resolver, keepers, watches, figures: this.housekeeping.figures }
    }

    private async shutDown(): Promise<void> {
        this.doorbell.close()
        this.acting?.watches.close()
        await this.acting?.nodes.close()
        await Promise.race([this.acting?.resolver.writeBack().catch(() => undefined), sleep(1000)])
        this.catalog?.close()
        await Promise.race([this.acting?.state.close(), sleep(1000)])
        await this.directory.release()
    }

    /** One connection to the coordinator, from connecting to losing it. */
    private async serve(): Promise<void> {
        const catalog = await this.connect()
        if (catalog === undefined) return
        this.connected = true
        let acted = false
        try {
            await checkSchema(catalog)
            const welcome = await this.election(catalog)
            if (welcome === undefined) return
            await this.doorbell.open()
            const acting = this.beginActing(welcome, catalog)
            await catalog.closeRequests()
            this.catalog = catalog
            acted = true
            this.complain(undefined)
            this.journal.note('sidecar acting', `host ${this.who.host}, pid ${this.who.pid}, home ${this.directory.home}`)
            this.log.info('acting', { coordinator: acting.coordinator, home: this.directory.home })
            await this.fault.at('after replay')
            await acting.nodes.refresh(catalog)
            await acting.watches.refresh(catalog)
            this.restorePoints.distrust()
            const over = (): boolean => this.catalog !== catalog || this.stopping
            const house = this.housekeeping.keep(catalog, acting, over)
            const watch = this.deadlocks.keep(catalog, acting, over)
            await this.lookout.keep(catalog, acting, over, () => void this.serveRequests(catalog, acting))
            await Promise.all([house, watch])
            if (this.stopping) await this.sayGoodbye(catalog)
        } catch (error) {
            if (error instanceof Refusal) throw error
            if (!this.stopping) this.complain(`lost the coordinator: ${messageOf(error)}`)
        } finally {
            if (acted && !this.stopping) this.journal.note('coordinator lost', 'decided sets are finished without it')
            this.catalog = undefined
            this.connected = false
            this.snapshots.drop()
            this.deadlocks.hurry()
            catalog.close()
        }
    }

    private async connect(): Promise<Catalog | undefined> {
        try {
            return await Catalog.connect(this.connection, () => {
                this.catalog = undefined
                this.connected = false
                this.doorbell.ring()
                this.housekeeping.hurry()
                this.deadlocks.hurry()
            })
        } catch (error) {
            const refusal = refusedLogin(error)
            if (this.acting === undefined && refusal !== undefined) throw refusal
            this.complain(`cannot reach the coordinator: ${messageOf(error)}`)
            return undefined
        }
    }

    private election(catalog: Catalog): Promise<Welcome | undefined> {
        const { home } = this.directory
        const belongsTo = this.acting?.coordinator ?? this.read.coordinator
        return elect(catalog, { ...this.who, home, stateDirectory: this.config.stateDir, belongsTo }, async (why) => {
            this.complain(why)
            this.housekeeping.figures = undefined
            await this.acting?.nodes.close()
            await this.doorbell.wait(1000)
            return !this.stopping
        })
    }

    private beginActing({ coordinator, version }: Welcome, catalog: Catalog): Acting {
        if (this.acting === undefined) {
            this.journal.note('sidecar started', `version ${this.who.version}`)
            const { config, read, journal, log, fault, tally } = this
            this.acting = beginActing({
                config,
                coordinator: coordinator!,
                home: this.directory.home,
                place: catalog.place(this.who.host),
                read,
                journal,
                log,
                fault,
                tally,
                catalog: () => this.catalog
            })
        }
        this.acting.version = version ?? 0
        return this.acting
    }

    /** The last lines of history. A coordinator that does not take them must not keep the process. */
    private async sayGoodbye(catalog: Catalog): Promise<void> {
        this.journal.note('sidecar stopped', 'as it was told to')
        await Promise.race([this.journal.flush(catalog), sleep(LAST_WORDS, undefined, { ref: false })])
    }

    private async serveRequests(catalog: Catalog, acting: Acting): Promise<void> {
        const requests = new Requests({
            coordinator: acting.coordinator,
            coordinatorVersion: acting.version,
            catalog,
            state: acting.state,
            resolver: acting.resolver,
            keepers: acting.nodes.keepers,
            watches: acting.watches,
            log: this.log,
            tally: this.tally,
            fault: this.fault,
            refreshNodes: () => acting.nodes.refresh(catalog),
            config: this.config,
            snapshots: this.snapshots,
            restorePoints: this.restorePoints,
            connection: this.connection,
            lockWaits: () => this.deadlocks.waits(catalog, acting),
            deadlocks: () => this.deadlocks.cycles(catalog, acting),
            detectDeadlocks: (mode, by) => this.deadlocks.choose(catalog, mode, by),
            doctor: (complaint) => examine(this.patient(catalog, acting), complaint)
        })
        await requests.serve().catch((error: unknown) => this.log.warning('request', { error: messageOf(error) }))
    }

    private patient(catalog: Catalog, acting: Acting): Patient {
        const { config, connection, uid, doorbell } = this
        const { state, version: coordinatorVersion, nodes, watches } = acting
        const { keepers, waiting } = nodes
        return { config, connection, uid, catalog, doorbell, state, keepers, watches, waiting, coordinatorVersion }
    }

    /** Says what is wrong once, not at every try. */
    private complain(what: string | undefined): void {
        if (what !== undefined && what !== this.complaint) this.log.warning(what)
        this.complaint = what ?? ''
    }
}
