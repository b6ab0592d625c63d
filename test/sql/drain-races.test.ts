/** drain() is exact: under load, and against sessions held at each line between their begin and their mark. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { drainWorld } from './drain/support'

const PAUSED = { code: '55000', message: /^pglobalxact is paused since / }
const GATE = 4242

describe('drain', () => {
    let world: World
    let app: Client
    const { session, superuser, typed, draining } = drainWorld('drain_races', (made, client) => {
        world = made
        app = client
    })

    it('under load is exact: whatever commits did so before it was drained, and nothing is left anywhere', async () => {
        for (let round = 0; round < 5; round++) {
            let drained = false
            const late: string[] = []
            const levels = ['read committed', 'repeatable read', 'serializable', 'read committed']
            const sessions = await Promise.all(levels.map(() => session()))
            const work = sessions.map(async (client, i) => {
                for (;;) {
                    await client.query(`begin isolation level ${levels[i]}; select 1 from pg_class limit 1`)
                    const answer = await client
                        .query(
                            `select pglobalxact.exec($1, 'insert into account select max(id) + 1, 0 from account on conflict do nothing')`,
                            [i % 2 === 0 ? 'b' : 'c']
                        )
                        .then(
                            () => 'begun',
                            ({ message }: Error) => message
                        )
                    if (answer === 'begun' && drained) late.push(levels[i]!)
                    await client.query(answer === 'begun' ? 'commit' : 'rollback').catch(() => client.query('rollback'))
                    if (/^pglobalxact is paused since/.test(answer)) return
                    // Those on one node get into each other's way there.
                    if (answer !== 'begun') expect(answer).to.match(/could not serialize/)
                }
            })
            await until('sets commit', async () => (await world.sql('select from pglobalxact.commit_record')).length > 20 * (round + 1))
            const { answer } = await draining(`drain('30 seconds')`)
            expect(await answer).to.equal('drained')
            drained = true
            expect(await world.prepared()).to.deep.equal([])
            await Promise.all(work)
            expect(late).to.deep.equal([])
            expect(await world.sql('select from pglobalxact.commit_record where complete_at is null')).to.deep.equal([])
            await world.admin('select pglobalxact.resume()')
        }
    })

    describe('and a session held', () => {
        /** Puts a wait for the gate into a function, in this test's database only. */
        async function hold(name: string, at: string, put: (line: string, gate: string) => string): Promise<void> {
            const [found] = await world.sql<{ def: string }>(
                `select pg_get_functiondef(p.oid) as def from pg_proc p where p.pronamespace = 'pglobalxact'::regnamespace and p.proname = $1`,
                [name]
            )
            expect(found!.def).to.contain(at)
            await world.sql(found!.def.replace(at, put(at, `perform pg_advisory_xact_lock_shared(${GATE});`)))
        }
        const MARK = "if not pg_try_advisory_xact_lock_shared(pglobalxact._lock_key('in flight'), number) then"
        const SWITCH = '-- Behind the row and the mark'
        const END = "return set_config('pglobalxact.set'"
        let gate: Client
        beforeEach(async () => {
            gate = await superuser()
            await gate.query(`select pg_advisory_lock(${GATE})`)
        })
        afterEach(() => world.install())

        const open = (): Promise<unknown> => gate.query(`select pg_advisory_unlock(${GATE})`)
        const held = () =>
            until(
                'it is held',
                async () =>
                    (await world.sql(`select from pg_locks where locktype = 'advisory' and objid = ${GATE} and not granted`)).length === 1
            )
        /** The session is held, a drain begins and waits for its set, and it goes on. */
        const letGoUnderDrain = async (): Promise<{ answer: Promise<string> }> => {
            await held()
            const { notices, answer } = await draining()
            await until('it waits', () => /^waiting for 1 set: 1 in flight/.test(notices[0] ?? ''))
            await open()
            return { answer }
        }
        const works = () => app.query(`select pglobalxact.exec('b', 'update account set balance = balance + 1')`)

        for (const level of ['read committed', 'repeatable read']) {
            const begin = () => app.query(`begin isolation level ${level}; select 1 from pg_class limit 1`)

            it(`just before its in-flight mark, ${level}: drained, and the session is refused`, async () => {
                await hold('_open_branch', MARK, (line, wait) => wait + line)
                await begin()
                const set = refused(works(), PAUSED)
                await held()
                expect(await typed('select pglobalxact.drain();')).to.equal('drained\n')
                await open()
                await set
            })

            it(`between its mark and its look at the switch, ${level}: waited for, and refused`, async () => {
                await hold('_open_branch', SWITCH, (line, wait) => wait + line)
                await begin()
                const set = refused(works(), PAUSED)
                const { answer } = await letGoUnderDrain()
                await set
                expect(await answer).to.equal('drained')
            })

            it(`just after its look at the switch, ${level}: waited for until it has committed everywhere`, async () => {
                await hold('_open_branch', END, (line, wait) => wait + line)
                await begin()
                const set = works()
                const { answer } = await letGoUnderDrain()
                await set
                await app.query('commit')
                expect(await answer).to.equal('drained')
                expect(await world.prepared()).to.deep.equal([])
                expect((await world.balances())['b']).to.equal(1001)
            })

            // It looks at the row when the switch was left on for nothing, before the pause.
            it(`between its look at the switch and its look at the row, ${level}: waited for, and refused`, async () => {
                await hold('_open_branch', 'perform pglobalxact._refuse_paused();', (line, wait) => wait + line)
                await world.sql(`select setval('pglobalxact.pause_switch', 1)`)
                await begin()
                const set = refused(works(), PAUSED)
                const { answer } = await letGoUnderDrain()
                await set
                expect(await answer).to.equal('drained')
            })

            it(`just after its look at the row, ${level}: waited for until it has committed everywhere`, async () => {
                await hold('_refuse_paused', 'if pause is not null', (line, wait) => wait + line)
                await world.sql(`select setval('pglobalxact.pause_switch', 1)`)
                await begin()
                const set = works()
                const { answer } = await letGoUnderDrain()
                await set
                await app.query('commit')
                expect(await answer).to.equal('drained')
                expect(await world.prepared()).to.deep.equal([])
            })
        }

        it('in its COMMIT, all its branches prepared: waited for until it has committed everywhere', async () => {
            await world.sql(`create or replace function public.wait_at_gate() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(${GATE}); return null; end $$;
                create constraint trigger late after insert on account deferrable initially deferred for each row execute function public.wait_at_gate()`)
            try {
                await app.query('begin')
                await works()
                await app.query('insert into account values (100, 5)')
                const commits = app.query('commit')
                await held()
                expect(await world.prepared()).to.have.length(1)
                const { notices, answer } = await draining()
                await until('it waits', () => /^waiting for 1 set: 1 in flight/.test(notices[0] ?? ''))
                await open()
                await commits
                expect(await answer).to.equal('drained')
                expect(await world.prepared()).to.deep.equal([])
            } finally {
                await world.sql('drop trigger late on account; drop function public.wait_at_gate(); delete from account where id <> 1')
            }
        })
    })
})
