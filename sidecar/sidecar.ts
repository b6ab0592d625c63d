import { setTimeout as sleep } from 'node:timers/promises'
import { lastWords, StateAlarm } from './alarm'
import { Catalog } from './catalog'
import type { Config } from './config'
import { coordinatorConnection, type ConnectionConfig } from './connection'
import { examine } from './doctor'
import { Doorbell } from './doorbell'
import type { FaultPoints } from './fault'
import { NEWEST_MIGRATION } from './install'
import { Journal } from './journal'
import type { Log } from './log'
import { Metrics } from './metrics'
import { NodeSet } from './nodeset'
import type { Figures, Introduction, Welcome } from './records'
import { Refusal } from './refusal'
import { replay, type Replayed } from './replay'
import { Requests } from './requests'
import { Resolver } from './resolver'
import { serveMetrics } from './scrape'
import type { Patient } from './sidecarcheck'
import { messageOf, property } from './sqlstate'
import { openStateDir, type StateDir } from './statedir'
import { StateFile } from './statefile'
import { timeOf } from './statelines'
import type { Facts } from './survey'
import { Tally } from './tally'

const BUSY = 20 // ms without a new set after which polling gives way to sleep
const POLL = 1 // ms between looks while awake
const LONGEST_POLL = 100 // ms between looks while some session stays "committing" (a SET CONSTRAINTS IMMEDIATE, or a squatter)
const RECONNECT = 250 // ms between tries to reach the coordinator
const BACKLOG = 20_000 // branches queued for nodes that answer, at which no further sets are read: memory stays bounded when a node is slower than the load
const LEAST_PATIENCE = 10_000
const PATIENCE = 3 // times what a node may take: a coordinator that answers nothing for so long is lost, and the nodes are served without it
const HEARTBEAT = 5000
const FIGURES = 2000 // ms between looks at what only the database counts
const ECHO = 10_000
const PURGE = 60_000
const LAST_WORDS = 1000 // ms

/** What exists from the first time this sidecar acted: it outlives connections to the coordinator. */
interface Acting {
    readonly coordinator: string
    /** server_version_num of the coordinator, at the last welcome. */
    version: number
    readonly state: StateFile
    readonly resolver: Resolver
    readonly nodes: NodeSet
}

/** The process: connects, is elected, looks, and keeps house. Data goes one way: doorbell, look, state file, nodes, back into SQL. */
export class Sidecar {
    private catalog: Catalog | undefined
    /** Connected, be it that this sidecar acts or waits. */
    private connected = false
    private acting: Acting | undefined
    private readonly connection: ConnectionConfig
    private readonly doorbell: Doorbell
    private readonly tally = new Tally()
    private readonly stateAlarm = new StateAlarm()
    private figures: Figures | undefined
    private readonly journal: Journal
    private stopping = false
    private lookedAt = new Date()
    private last = { heartbeat: 0, echo: 0, figures: 0, purge: 0, complaint: '' }

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
        this.doorbell = new Doorbell(this.connection, log)
        this.journal = new Journal(log)
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
        const read = await replay(config.stateDir).catch(async (error: unknown) => {
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
    }

    private facts(): Facts {
        const { version } = this.who
        const acting = this.catalog !== undefined
        const { state, resolver, nodes } = this.acting ?? {}
        const keepers = [...(nodes?.keepers.values() ?? [])]
        return { version, coordinatorUp: this.connected, acting, state, resolver, keepers, figures: this.figures }
    }

    private async shutDown(): Promise<void> {
        this.doorbell.close()
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
            await this.checkSchema(catalog)
            const welcome = await this.election(catalog)
            if (welcome === undefined) return
            await this.doorbell.open()
            const acting = (this.acting ??= this.beginActing(welcome.coordinator!, catalog.place(this.who.host)))
            acting.version = welcome.version ?? 0
            await catalog.closeRequests()
            this.catalog = catalog
            acted = true
            this.complain(undefined)
            this.journal.note('sidecar acting', `host ${this.who.host}, pid ${this.who.pid}, home ${this.directory.home}`)
            this.log.info('acting', { coordinator: acting.coordinator, home: this.directory.home })
            await acting.nodes.refresh(catalog)
            const house = this.keepHouse(catalog, acting)
            await this.lookForSets(catalog, acting)
            await house
            if (this.stopping) await this.sayGoodbye(catalog)
        } catch (error) {
            if (error instanceof Refusal) throw error
            if (!this.stopping) this.complain(`lost the coordinator: ${messageOf(error)}`)
        } finally {
            if (acted && !this.stopping) this.journal.note('coordinator lost', 'decided sets are finished without it')
            this.catalog = undefined
            this.connected = false
            catalog.close()
        }
    }

    private async connect(): Promise<Catalog | undefined> {
        try {
            return await Catalog.connect(this.connection, () => {
                this.catalog = undefined
                this.connected = false
                this.doorbell.ring()
            })
        } catch (error) {
            if (this.acting === undefined && isHopeless(error)) {
                throw new Refusal(
                    `cannot log in to the coordinator: ${messageOf(error)}`,
                    "Check --database-url or the PG* variables, the role's password, and pg_hba.conf."
                )
            }
            this.complain(`cannot reach the coordinator: ${messageOf(error)}`)
            return undefined
        }
    }

    private async checkSchema(catalog: Catalog): Promise<void> {
        const found = await catalog.schemaVersion().catch((error: unknown) => {
            if (property(error, 'code') !== '42501') throw error
            throw new Refusal(
                `this role may not use schema pglobalxact: ${messageOf(error)}`,
                'Log in as role pglobalxact, or as a member of it.'
            )
        })
        if (found === NEWEST_MIGRATION) return
        throw found === undefined
            ? new Refusal(
                  'schema pglobalxact is not installed in this database',
                  'Run "make install-sql" (or: npx pglobalxact install) against it first.'
              )
            : new Refusal(
                  `schema pglobalxact is at version ${found}, this sidecar needs ${NEWEST_MIGRATION}`,
                  found < NEWEST_MIGRATION
                      ? 'Run "make install-sql" of this version.'
                      : 'Install the sidecar of the version that installed the schema.'
              )
    }

    /** Waits until this sidecar is the one that acts; undefined when the connection ends or the process stops first. */
    private async election(catalog: Catalog): Promise<Welcome | undefined> {
        for (;;) {
            const welcome = await catalog.hello({
                ...this.who,
                home: this.directory.home,
                stateDirectory: this.config.stateDir,
                belongsTo: this.acting?.coordinator ?? this.read.coordinator
            })
            if (welcome.coordinator !== undefined) this.checkCoordinator(welcome.coordinator)
            if (welcome.acting) return welcome
            this.complain(welcome.note)
            this.figures = undefined
            await this.acting?.nodes.close()
            await this.doorbell.wait(1000)
            if (this.stopping) return undefined
        }
    }

    /** The last lines of history. A coordinator that does not take them must not keep the process. */
    private async sayGoodbye(catalog: Catalog): Promise<void> {
        this.journal.note('sidecar stopped', 'as it was told to')
        await Promise.race([this.journal.flush(catalog), sleep(LAST_WORDS, undefined, { ref: false })])
    }

    private beginActing(coordinator: string, place: string): Acting {
        this.journal.note('sidecar started', `version ${this.who.version}`)
        const state = StateFile.open(
            this.config.stateDir,
            { coordinator, home: this.directory.home },
            this.config,
            this.read,
            this.log,
            this.fault,
            this.tally
        )
        const nodes: NodeSet = new NodeSet({
            coordinator,
            home: this.directory.home,
            place,
            journal: this.journal,
            config: this.config,
            log: this.log,
            tally: this.tally,
            catalog: () => this.catalog,
            resolver: () => resolver
        })
        const resolver = new Resolver({
            state,
            nodes: nodes.byNumber,
            log: this.log,
            tally: this.tally,
            journal: this.journal,
            fault: this.fault,
            coordinator,
            retryCap: this.config.retryCap,
            catalog: () => this.catalog
        })
        for (const { events, lines } of this.read.live.values()) {
            const key = events.flatMap((event) => ('set' in event ? [event.set] : []))[0]
            if (key !== undefined) resolver.resume(key, events, timeOf(lines[0]!))
        }
        return { coordinator, version: 0, state, resolver, nodes }
    }

    private checkCoordinator(found: string): void {
        const mine = this.acting?.coordinator ?? this.read.coordinator
        if (mine === undefined || mine === found) return
        throw new Refusal(
            `state directory ${this.config.stateDir} belongs to coordinator ${mine}, this database is coordinator ${found}`,
            'Give each coordinator a state directory of its own, or point the sidecar at the right database.'
        )
    }

    /**
     * Polls while there is work, sleeps until the doorbell rings while there is none (the argument stands in
     * sql/internal/_ring.sql). Every way out of sleep ends in a look, and a slow look comes in any case.
     */
    private async lookForSets(catalog: Catalog, acting: Acting): Promise<void> {
        let since: string | undefined
        let awake = false
        let lastWork = Date.now()
        let pause = POLL
        const look = async (): Promise<boolean> => {
            const { snapshot, sets, requests } = await catalog.look(since)
            since = snapshot
            this.lookedAt = new Date()
            if (sets !== null)
                void acting.resolver
                    .decide(sets, acting.nodes.uriOf)
                    .catch((error: unknown) => this.log.error('decide', { error: String(error) }))
            acting.resolver.start()
            if (requests) void this.serveRequests(catalog, acting)
            return sets !== null
        }
        while (this.catalog === catalog && !this.stopping) {
            if (acting.nodes.waiting > BACKLOG) {
                await sleep(10)
                continue
            }
            if (await look()) {
                lastWork = Date.now()
                pause = POLL
                if (!awake) awake = await catalog.stayAwake()
            } else if (awake && Date.now() - lastWork < BUSY) {
                await sleep(POLL)
            } else {
                const quiet = await catalog.fallAsleep(awake)
                awake = false
                if (await look()) lastWork = Date.now()
                else await this.doorbell.wait(quiet ? this.config.scanInterval : Math.min(pause, this.config.scanInterval))
                pause = quiet ? POLL : Math.min(pause * 2, LONGEST_POLL)
            }
        }
    }

    private async serveRequests(catalog: Catalog, acting: Acting): Promise<void> {
        const requests = new Requests({
            coordinator: acting.coordinator,
            coordinatorVersion: acting.version,
            catalog,
            state: acting.state,
            resolver: acting.resolver,
            keepers: acting.nodes.keepers,
            log: this.log,
            tally: this.tally,
            refreshNodes: () => acting.nodes.refresh(catalog),
            config: this.config,
            doctor: (complaint) => examine(this.patient(catalog, acting), complaint)
        })
        await requests.serve().catch((error: unknown) => this.log.warning('request', { error: messageOf(error) }))
    }

    private patient(catalog: Catalog, acting: Acting): Patient {
        const { config, connection, uid, doorbell } = this
        const { state, version: coordinatorVersion, nodes } = acting
        return { config, connection, uid, catalog, doorbell, state, keepers: nodes.keepers, waiting: nodes.waiting, coordinatorVersion }
    }

    private async keepHouse(catalog: Catalog, acting: Acting): Promise<void> {
        while (this.catalog === catalog && !this.stopping) {
            await this.chores(catalog, acting).catch((error: unknown) => this.complain(`housekeeping: ${messageOf(error)}`))
            await Promise.race([sleep(Math.min(this.config.scanInterval, 1000)), new Promise<void>((done) => this.whenOver(catalog, done))])
        }
    }

    /** Lets the housekeeping end soon after the connection or the process does. */
    private whenOver(catalog: Catalog, done: () => void): void {
        const timer = setInterval(() => {
            if (this.catalog === catalog && !this.stopping) return
            clearInterval(timer)
            done()
        }, 50)
        setTimeout(() => clearInterval(timer), 1100).unref()
    }

    private async chores(catalog: Catalog, acting: Acting): Promise<void> {
        const now = Date.now()
        acting.resolver.tellProgress()
        await acting.resolver.writeBack()
        await this.journal.flush(catalog)
        await acting.nodes.refresh(catalog)
        void acting.state.tidy()
        if (now - this.last.heartbeat > HEARTBEAT || acting.state.problem !== undefined) {
            this.last.heartbeat = now
            await catalog.rememberPeers()
            await catalog.heartbeat({
                bytes: acting.state.bytes,
                sets: acting.state.sets,
                note: acting.state.problem ?? 'acting',
                lookedAt: this.lookedAt,
                queued: acting.nodes.waiting,
                unwritten: acting.resolver.unwritten
            })
        }
        await this.stateAlarm.tell(catalog, acting.state.problem)
        if (this.config.metrics !== undefined && now - this.last.figures > FIGURES) {
            this.last.figures = now
            this.figures = await catalog.figures()
        }
        if (now - this.last.echo > ECHO) {
            this.last.echo = now
            if (!this.doorbell.alive()) this.complain('the doorbell does not answer: new sets are found by the slow look only')
        }
        void this.doorbell.open()
        if (now - this.last.purge > PURGE) {
            this.last.purge = now
            while ((await catalog.purge()) === 1000) await sleep(50)
        }
    }

    /** Says what is wrong once, not at every try. */
    private complain(what: string | undefined): void {
        if (what !== undefined && what !== this.last.complaint) this.log.warning(what)
        this.last.complaint = what ?? ''
    }
}

/** What trying again cannot cure: no such role or database, a wrong or missing password, a URL that is none. */
const isHopeless = (error: unknown): boolean =>
    /^(28|3D|ERR_INVALID_URL)/.test(property(error, 'code') ?? '') || messageOf(error).startsWith('SASL')
