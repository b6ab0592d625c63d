import { expect } from 'chai'
import type { Client } from 'pg'
import { addRow } from '../sidecar/common'
import { refused, rows, value } from '../support/refused'
import { World } from '../support/world'

const SEED = Number(process.env['PGLOBALXACT_FUZZ_SEED'] ?? Date.now() % 1_000_000_007)
const SESSIONS = 5
const EACH = 12
const PLACES = ['here', 'b', 'c'] as const // always in this order: no deadlock

interface Run {
    readonly id: string
    /** Of all beginnings and ends, in the order in which the programs had them. */
    readonly began: number
    readonly ended: number
    /** What it found, or left where it wrote, at each place. */
    readonly wrote: Readonly<Record<string, number>>
    readonly read: Readonly<Record<string, number>>
    readonly number: bigint
}

describe(`the number of a set (PGLOBALXACT_FUZZ_SEED=${SEED})`, () => {
    let world: World
    let state = SEED >>> 0
    let clock = 0

    const roll = (): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0
        return state / 2 ** 32
    }

    before(async () => {
        world = await World.create({ name: 'number' })
        const table = 'create table counter (n integer not null); insert into counter values (0); grant all on counter to'
        await world.sql(`${table} app`)
        for (const name of world.nodes.keys()) await world.node(name, `${table} node_app`)
    })
    after(async () => {
        // A database in which a branch is still prepared cannot be dropped.
        await world?.settled()
        await world?.destroy()
    })

    async function visit(client: Client, place: string, writes: boolean): Promise<number> {
        if (place === 'here')
            return Number(await value(client, writes ? 'update counter set n = n + 1 returning n' : 'select n from counter'))
        if (writes) await client.query('select pglobalxact.exec($1, $2)', [place, 'update counter set n = n + 1'])
        return Number(await value(client, "select n from pglobalxact.query($1, 'select n from counter') as t (n integer)", [place]))
    }

    /** A set that writes to some of three counters, and reads others. */
    async function run(client: Client): Promise<Omit<Run, 'number'>> {
        const began = clock++
        const wrote: Record<string, number> = {}
        const read: Record<string, number> = {}
        await client.query('begin')
        for (const place of PLACES) {
            const writes = roll() < 0.5
            if (roll() < 0.7) (writes ? wrote : read)[place] = await visit(client, place, writes)
        }
        // Every set has a branch.
        await client.query("select * from pglobalxact.query('c', 'select 1') as t (n integer)")
        const id = String(await value(client, 'select pglobalxact.set_id()'))
        await client.query('commit')
        return { id, began, ended: clock++, wrote, read }
    }

    it('follows the order in which sets met, here and on the nodes, and in which programs ran them', async () => {
        const all = await Promise.all(
            Array.from({ length: SESSIONS }, async () => {
                const client = await world.connect()
                const runs: Run[] = []
                for (let i = 0; i < EACH; i++) {
                    const one = await run(client)
                    runs.push({ ...one, number: BigInt(String(await value(client, 'select pglobalxact.set_number($1)', [one.id]))) })
                }
                return runs
            })
        )
        const runs = all.flat()
        expect(new Set(runs.map(({ number }) => number)).size).to.equal(SESSIONS * EACH)
        const pairs = runs.flatMap((one) => runs.map((other) => [one, other] as const)).filter(([one, other]) => one !== other)
        const wrong = (follows: (one: Run, other: Run) => boolean): string[] =>
            pairs.filter(([one, other]) => follows(one, other) && one.number >= other.number).map(([one, other]) => `${one.id} ${other.id}`)
        expect(
            wrong((one, other) => one.ended < other.began),
            'one had ended before the other began'
        ).to.deep.equal([])
        for (const place of PLACES) {
            const met = (how: 'wrote' | 'read') => (one: Run, other: Run) => {
                const [left, found] = [one.wrote[place], other[how][place]]
                return left !== undefined && found !== undefined && (how === 'wrote' ? left < found : left <= found)
            }
            expect(pairs.filter(([one, other]) => met('wrote')(one, other)).length, place).to.be.greaterThan(10)
            expect(wrong(met('wrote')), `wrote over it: ${place}`).to.deep.equal([])
            expect(wrong(met('read')), `read it: ${place}`).to.deep.equal([])
        }
    })

    it('is drawn behind a wait for a lock, and not when the set began', async () => {
        const [one, other] = [await world.connect(), await world.connect()]
        await other.query("begin; select pglobalxact.exec('b', 'update account set balance = balance')")
        await one.query("begin; select pglobalxact.exec('c', 'update account set balance = balance'); update counter set n = n + 1")
        const ids = [String(await value(one, 'select pglobalxact.set_id()')), String(await value(other, 'select pglobalxact.set_id()'))]
        expect(BigInt(ids[1]!.split('_')[0]!) < BigInt(ids[0]!.split('_')[0]!), 'the other has the lower xid').to.equal(true)
        const waits = other.query('update counter set n = n + 1')
        expect(await value(one, 'select pglobalxact.set_number($1)', [ids[0]]), 'not committed').to.equal(null)
        await one.query('commit')
        await waits
        await other.query('commit')
        const [[first], [second]] = (await Promise.all(
            ids.map((id) => rows<{ n: string }>(one, 'select pglobalxact.set_number($1) as n', [id]))
        )) as [[{ n: string }], [{ n: string }]]
        expect(BigInt(first.n) < BigInt(second.n)).to.equal(true)
    })

    it('is nothing for a set that did not commit, or that nobody knows', async () => {
        const app = await world.connect()
        await app.query("begin; select pglobalxact.exec('b', 'update account set balance = balance')")
        const id = String(await value(app, 'select pglobalxact.set_id()'))
        await app.query('rollback')
        expect(await value(app, 'select pglobalxact.set_number($1)', [id])).to.equal(null)
        await refused(app.query("select pglobalxact.set_number('xa_4711')"), { code: '22023', message: /is not a set id/ })
        const gid = `pgx_${String((await world.sql('select id from pglobalxact.coordinator'))[0]!['id'])}_${await addRow(world, app)}_1`
        expect(await value(app, 'select pglobalxact.set_number($1)', [gid])).to.be.a('string')
    })

    it('comes from a sequence of which no session keeps numbers in store', async () => {
        expect(
            await world.sql("select seqcache::int as n from pg_sequence where seqrelid = 'pglobalxact.set_number'::regclass")
        ).to.deep.equal([{ n: 1 }])
    })
})
