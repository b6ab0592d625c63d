import { expect } from 'chai'
import fc from 'fast-check'
import { DatabaseError, type Client } from 'pg'
import { attack, longAttack, type Attack } from '../support/sqlattacks'
import { until } from '../support/wait'
import { World } from '../support/world'

/** One seed always the same, one new in each run: what it printed can be given back in PGLOBALXACT_FUZZ_SEED. */
const SEEDS = process.env['PGLOBALXACT_FUZZ_SEED'] ? [Number(process.env['PGLOBALXACT_FUZZ_SEED'])] : [20, Date.now() % 1_000_000_007]

const SCHEMA = `
    create table public.canary (n int); insert into public.canary values (0); create table public.words (n int);
    create procedure public.committing() language plpgsql as 'begin commit; end';
    create function public.committing_function() returns void language plpgsql as 'begin commit; end';
    do $$ begin
      if to_regrole('fuzz_other') is null then create role fuzz_other; end if;
      grant fuzz_other to node_app, node_sidecar;
    end $$;
    grant all on public.canary, public.words to node_app, fuzz_other`

describe('random SQL thrown at exec and query', () => {
    let world: World
    let app: Client
    before(async () => {
        world = await World.create({ name: 'fuzz' })
        await world.sql('create table canary (n int); insert into canary values (0); grant all on canary to app')
        for (const node of world.nodes.keys()) await world.node(node, SCHEMA)
        app = await world.connect()
    })
    after(() => world?.destroy())

    const canaries = async (): Promise<number[]> =>
        (
            await Promise.all([
                world.sql('select n from canary'),
                ...[...world.nodes.keys()].map((node) => world.node(node, 'select n from canary'))
            ])
        ).map((rows) => Number(rows[0]!['n']))
    const prick = (node: string) => app.query(`select pglobalxact.exec($1, 'update public.canary set n = n + 1')`, [node])

    /** One set with the attack in its middle: committed if it may be. What the servers said against it, or undefined. */
    async function strike({ by, sql }: Attack): Promise<DatabaseError | undefined> {
        await app.query('begin')
        await app.query('update canary set n = n + 1')
        for (const node of world.nodes.keys()) await prick(node)
        try {
            if (by === 'exec') await app.query('select pglobalxact.exec($1, $2)', ['b', sql])
            else await app.query('select from pglobalxact.query($1, $2) as t (n int)', ['b', sql])
            await app.query('commit')
            await app.query("select pglobalxact.await(timeout => '20 seconds')")
            return undefined
        } catch (error) {
            if (!(error instanceof DatabaseError)) throw error
            await app.query('rollback')
            return error
        }
    }

    /** Every server counts the sets that committed, and no other: the coordinator's own count is the judge. */
    async function allOrNothing(count: number, what: string): Promise<void> {
        expect(await canaries(), what).to.deep.equal([count, count, count])
    }

    async function nothingLeft(): Promise<void> {
        await world.settled()
        for (const node of world.nodes.keys()) {
            await until('no session of ours is in a transaction', async () => {
                const open = await world.node(
                    node,
                    'select query from pg_stat_activity where datname = current_database() and xact_start is not null and pid <> pg_backend_pid()'
                )
                return open.length === 0
            })
            expect(await world.node(node, 'select gid from pg_prepared_xacts where database = current_database()')).to.deep.equal([])
        }
    }

    async function bombard(seed: number, attacks: readonly Attack[]): Promise<Record<string, number>> {
        const answers: Record<string, number> = {}
        let [{ n: count }] = (await app.query<{ n: number }>('select n from canary')).rows as [{ n: number }]
        for (const one of attacks) {
            const what = `PGLOBALXACT_FUZZ_SEED=${seed}: ${one.by} ${JSON.stringify(one.sql.slice(0, 300))}`
            const error = await strike(one).catch((trouble: unknown) => {
                throw new Error(`${what}: ${String(trouble)}`)
            })
            if (error === undefined) count += 1
            else expect(error.code, `${what}: ${error.message}`).to.not.match(/^XX/)
            answers[error?.code ?? 'committed'] = (answers[error?.code ?? 'committed'] ?? 0) + 1
            await allOrNothing(count, `${what} ${error?.message ?? 'committed'}`)
        }
        return answers
    }

    for (const seed of SEEDS) {
        it(`commits everywhere or nowhere, and leaves the session fit for the next set (seed ${seed})`, async () => {
            const answers = await bombard(seed, fc.sample(attack(), { numRuns: 300, seed }))
            expect(answers['committed'], 'some commit').to.be.at.least(5)
            expect(answers['2D000'], 'transaction control is refused').to.be.at.least(20)
            expect(Object.keys(answers).length, JSON.stringify(answers)).to.be.greaterThan(8)
            await nothingLeft()
        }).timeout(180_000)
    }

    it('the same with a megabyte of it', async () => {
        await bombard(SEEDS[0]!, fc.sample(longAttack(), { numRuns: 12, seed: SEEDS[0]! }))
        await nothingLeft()
    }).timeout(180_000)

    for (const change of ['set standard_conforming_strings = off', "set client_encoding = 'SJIS'"]) {
        it(`after "${change}" on a node no further statement is run in that set, and the next set works`, async () => {
            const before = (await canaries())[0]!
            await app.query('begin')
            await prick('b')
            await app.query('select pglobalxact.exec($1, $2)', ['b', change])
            const error: unknown = await app
                .query(`select pglobalxact.exec('b', $1)`, [`select '\\''; commit; --'`])
                .catch((one: unknown) => one)
            expect(error).to.include({
                code: '40000',
                message: 'client_encoding or standard_conforming_strings was changed on node "b" by this transaction'
            })
            await app.query('rollback')
            // As the last statement it stays with the connection: that one is not used again.
            expect(await strike({ by: 'exec', sql: change })).to.equal(undefined)
            expect(await strike({ by: 'exec', sql: 'select 1 where false; update public.words set n = 1' })).to.equal(undefined)
            await allOrNothing(before + 2, change)
        })
    }
})
