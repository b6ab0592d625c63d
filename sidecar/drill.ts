import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { coordinatorSession } from './coordinatorsession'
import { Canary, type CanaryBranch, type CanaryNode } from './canary'
import { POINTS, type Point } from './drillpoints'
import { nodeSays } from './judgement'
import type { Node } from './node'
import { RequestError, UNKNOWN_OBJECT, WRONG_STATE, type RequestParts } from './request'
import { destroy } from './session'
import { nodeSql } from './sqlfiles'
import { messageOf } from './sqlstate'

type Parts = Pick<RequestParts, 'catalog' | 'resolver' | 'keepers' | 'log' | 'connection' | 'config'>

interface Wanted {
    readonly request: string
    readonly point: string
    readonly node: string
    readonly canary: string | undefined
    /** Milliseconds until a place that does not say what it has to is given up. */
    readonly timeout: number
}

/** What a place said in the end, and how many milliseconds after the fault it first said what it had to. */
interface Word {
    readonly place: string
    readonly says: string
    readonly canary_rows: number | null
    readonly ms: number | null
}

const VERIFY = nodeSql('verify')
const STILL_PREPARED = nodeSql('still_prepared')
const CANARY_TABLE = nodeSql('canary_table')
const INVALID = '22023'

let underWay = false

/** drill(): a canary set runs into a fault. One at a time. */
export async function drill(parts: Parts, wanted: Wanted): Promise<unknown> {
    const point = POINTS[wanted.point]
    if (point === undefined)
        throw new RequestError(INVALID, `there is no point "${wanted.point}"`, `The points are: ${Object.keys(POINTS).join(', ')}.`)
    const node = [...parts.keepers.values()].find((one) => one.node.address.name === wanted.node)?.node
    if (node === undefined)
        throw new RequestError(UNKNOWN_OBJECT, `node "${wanted.node}" does not exist`, 'See: select * from pglobalxact.nodes();')
    if (!takesPart(node))
        throw new RequestError(WRONG_STATE, `node "${wanted.node}" takes no part in sets now`, 'See: select * from pglobalxact.nodes();')
    if (underWay) throw new RequestError(WRONG_STATE, 'a drill is under way already', 'See: select * from pglobalxact.drills();')
    underWay = true
    const clients: Client[] = []
    try {
        return await new Drill(parts, wanted, point, node, clients).run()
    } finally {
        for (const client of clients) destroy(client)
        underWay = false
    }
}

const takesPart = ({ up, address }: Node): boolean => up && address.active && !address.lost

class Drill {
    private startedAt = 0

    constructor(
        private readonly parts: Parts,
        private readonly wanted: Wanted,
        private readonly point: Point,
        private readonly node: Node,
        /** Ended with the drill. */
        private readonly clients: Client[]
    ) {}

    async run(): Promise<unknown> {
        const { connection, catalog, resolver } = this.parts
        const { expected } = this.point
        const desk = await this.keep(coordinatorSession(connection, 'pglobalxact sidecar (drill)'))
        const number = (await desk.query<{ id: string }>("select nextval('pglobalxact.drill_id_seq')::text as id")).rows[0]!.id
        const nodes = await Promise.all(
            [...this.parts.keepers.values()].filter((one) => takesPart(one.node)).map((one) => this.prepare(one.node))
        )
        const enlisted = this.point.enlisted === true ? this.node : undefined
        const canary = await Canary.begin(connection, { id: number, about: this.wanted.point, nodes, enlisted })
        try {
            const { request, point, node, canary: table } = this.wanted
            const entry = [number, request, point, node, table ?? null, canary.setId, expected]
            await desk.query('select pglobalxact._drill_begin($1, $2, $3, $4, $5, $6, $7)', entry)
            try {
                const mark = (): void => void (this.startedAt = performance.now())
                await this.point.happen({ canary, node: this.node, catalog, resolver }, mark)
            } catch (error) {
                await this.enter(desk, number, undefined, [{ place: 'coordinator', says: messageOf(error), canary_rows: null, ms: null }])
                throw error
            }
            canary.close()
            return await this.conclude(desk, canary)
        } finally {
            canary.close()
            resolver.postponed.delete(canary.setId)
        }
    }

    private async enter(desk: Client, id: string, took: number | undefined, evidence: readonly Word[]): Promise<void> {
        const values = [id, took !== undefined, took === undefined ? null : `${took} ms`, JSON.stringify(evidence)]
        await desk.query('select pglobalxact._drill_end($1, $2, $3, $4)', values)
    }

    /** Waits until every place says what it has to, and writes down what they said. */
    private async conclude(desk: Client, canary: Canary): Promise<unknown> {
        const { expected } = this.point
        const words = await Promise.all([
            this.watchCoordinator(desk, canary),
            ...canary.branches.map((branch) => this.watchNode(branch, canary))
        ])
        const times = words.flatMap(({ ms }) => ms ?? [])
        const consistent = times.length === words.length
        if (consistent) await this.sweepUp(canary)
        else
            this.parts.log.error('drill failed', {
                drill: canary.id,
                point: this.wanted.point,
                set: canary.setId,
                expected,
                found: JSON.stringify(words)
            })
        await this.enter(desk, canary.id, consistent ? Math.max(...times) : undefined, words)
        return { id: canary.id, expected, consistent, evidence: words }
    }

    private async prepare(node: Node): Promise<CanaryNode> {
        const eye = await this.keep(node.visit())
        const { timeline } = (await eye.query<{ timeline: string | null }>(VERIFY, [[]])).rows[0]!
        const { canary } = this.wanted
        if (canary === undefined) return { node, eye, timeline, table: undefined }
        const { rows } = await eye.query<{ name: string; fit: boolean }>(CANARY_TABLE, [canary])
        if (rows[0]?.fit === true) return { node, eye, timeline, table: rows[0].name }
        const login = (await eye.query<{ login: string }>('select session_user as login')).rows[0]!.login
        throw new RequestError(
            INVALID,
            `${rows.length === 0 ? 'there is no' : 'not fit for canary rows:'} table "${canary}" on node "${node.address.name}"`,
            `On every node, as a superuser: create table ${canary} (drill bigint primary key); alter table ${canary} owner to ${eye.escapeIdentifier(login)};`,
            `It must belong to "${login}", have a column drill of type bigint, no trigger and no rule, and nobody else the right to add one.`
        )
    }

    private async watchCoordinator(desk: Client, { setId }: Canary): Promise<Word> {
        return this.watch('coordinator', async () => {
            const { rows } = await desk.query<{ says: string; final: boolean }>('select * from pglobalxact._drill_look($1)', [setId])
            const { says, final } = rows[0]!
            return { says: final || says === 'in progress' ? says : `${says}, not complete`, canary_rows: null }
        })
    }

    private watchNode(branch: CanaryBranch, { id }: Canary): Promise<Word> {
        const { node, table } = branch
        let client: Client | undefined
        return this.watch(node.address.name, async () => {
            try {
                client ??= await this.keep(node.visit())
                return {
                    says: await askFate(client, branch),
                    canary_rows: table === undefined ? null : await countRows(client, table, id)
                }
            } catch (error) {
                if (client !== undefined) destroy(client)
                client = undefined
                throw error
            }
        })
    }

    /** Asks until the place says what it has to, with its rows, or the time is up. */
    private async watch(place: string, ask: () => Promise<Pick<Word, 'says' | 'canary_rows'>>): Promise<Word> {
        const { expected } = this.point
        const rows = expected === 'committed' ? 1 : 0
        for (let pause = 2; ; pause = Math.min(pause * 1.3, 100)) {
            const last = await ask().catch(() => ({ says: 'it does not answer', canary_rows: null }))
            if (last.says === expected && (last.canary_rows ?? rows) === rows)
                return { place, ...last, ms: Math.round((performance.now() - this.startedAt) * 10) / 10 }
            if (performance.now() - this.startedAt > this.wanted.timeout) return { place, ...last, ms: null }
            await sleep(pause)
        }
    }

    /** What is left after a crash just here is a row in a table that is there for such rows. */
    private async sweepUp({ branches, id }: Canary): Promise<void> {
        const swept = branches.map(({ eye, table }) =>
            table === undefined ? undefined : eye.query(`delete from ${table} where drill = $1`, [id])
        )
        await Promise.allSettled(swept)
    }

    private async keep(opening: Promise<Client>): Promise<Client> {
        const client = await opening
        this.clients.push(client)
        return client
    }
}

/** What is prepared first: a branch that is not has ended, and its status is final. */
async function askFate(client: Client, { gid, xid, timeline }: CanaryBranch): Promise<string> {
    const prepared = (await client.query(STILL_PREPARED, [[gid]])).rows.length > 0
    const { rows } = await client.query<{ timeline: string | null; states: (string | null)[] }>(VERIFY, [[xid]])
    const [{ timeline: here, states }] = rows as [(typeof rows)[number]]
    const says = nodeSays(timeline, { timeline: here ?? undefined, state: states[0] ?? null, prepared })
    return says === 'nothing of it' ? 'still open' : says
}

const countRows = async (client: Client, table: string, id: string): Promise<number> =>
    Number((await client.query<{ n: string }>(`select count(*) as n from ${table} where drill = $1`, [id])).rows[0]!.n)
