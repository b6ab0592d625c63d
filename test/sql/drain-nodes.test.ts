/** drain() looks at the nodes: what waits there, what was left there, and what is not its own. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { refused, value } from '../support/refused'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { drainWorld } from './drain/support'

describe('drain', () => {
    let world: World
    let app: Client
    const { session, superuser, typed, draining, pid, commit } = drainWorld('drain_nodes', (made, client) => {
        world = made
        app = client
    })

    describe('at a node', () => {
        it('that is down waits for the sets that it must still finish, with its error, and no longer when it is back', async () => {
            await world.transfer(app)
            await world.sidecar!.kill()
            await app.query('commit')
            await world.proxies.get('c')!.cut()
            await world.startSidecar()
            const { notices, answer } = await draining()
            await until('it says so', () => notices.some((notice) => /^waiting for 1 set: 1 unfinished on node c: .+$/.test(notice)))
            await refused(world.admin(`select pglobalxact.drain('0')`), {
                code: '55000',
                message: /^not drained/,
                detail: /^Open: 1 set: 1 unfinished on node c: .+\.\nThe pause/
            })
            await world.proxies.get('c')!.restore()
            expect(await answer).to.equal('drained')
            expect(await world.prepared()).to.deep.equal([])
        })

        it('that is down and has nothing to finish says that it could not be looked at', async () => {
            await world.proxies.get('c')!.cut()
            expect(await typed('select pglobalxact.drain();')).to.match(/^drained, but for nodes that do not answer: c \(.+\)\n$/)
        })

        it('sees to it that what a dead session left prepared there, and no look has seen, is rolled back', async () => {
            await world.sidecar!.stop()
            await world.startSidecar(['--scan-interval', '600000'])
            const set = await world.transfer(app)
            await app.query('set constraints all immediate') // prepares
            expect(await world.prepared()).to.have.length(2)
            await world.sql('select pg_terminate_backend($1)', [await pid(app)])
            expect(await value(await session('dba'), `select pglobalxact.drain('20 seconds')`)).to.equal('drained')
            expect(await world.prepared()).to.deep.equal([])
            expect(await world.sql('select pglobalxact.outcome($1) as o', [set])).to.deep.equal([{ o: 'rolled back' }])
            await world.sidecar!.stop()
        })

        it('waits for a local transaction that was itself prepared, which no lock shows in flight', async () => {
            const [slots] = await world.sql<{ n: number }>(`select current_setting('max_prepared_transactions')::int as n`)
            expect(slots!.n).to.be.greaterThan(0)
            // A transaction that has sent a NOTIFY cannot be prepared. Nobody sends one while this lock is held.
            await (await superuser()).query(`select pg_advisory_lock(x'70677833'::int, 0)`)
            await world.transfer(app)
            await app.query(`prepare transaction 'local one'`)
            await refused(world.admin(`select pglobalxact.drain('2 seconds')`), {
                code: '55000',
                message: /^not drained/,
                detail: /prepared \(its local transaction runs\) on node b/
            })
            await world.sql(`commit prepared 'local one'`)
            expect(await value(await session('dba'), `select pglobalxact.drain('20 seconds')`)).to.equal('drained')
            expect(await world.prepared()).to.deep.equal([])
        })

        it('leaves what only looks like its own, and says so', async () => {
            const [own] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
            const gid = `pgx_${own!.id}_99_0123abcd_1`
            await world.node('b', `begin; select pg_current_xact_id(); prepare transaction '${gid}'`)
            expect(await typed('select pglobalxact.drain();')).to.match(
                /^drained\nNOTICE: {2}prepared transactions that only look like this coordinator's stay: 1 on node b\nHINT: .*branches/
            )
            await world.node('b', `rollback prepared '${gid}'`)
        })

        it('does not wait for a mixed set, and names it', async () => {
            await world.sidecar!.stop()
            const set = await commit()
            const gid = (await world.prepared())[0]!
            await world.node('b', `rollback prepared '${gid}'`)
            await world.startSidecar()
            await until('it is mixed', async () => (await world.sql(`select from pglobalxact.sets() where outcome = 'mixed'`)).length === 1)
            expect(await typed('select pglobalxact.drain();')).to.match(
                new RegExp(`^drained\nNOTICE: {2}mixed or unknown and not acknowledged, but over: set ${set}\nHINT: .*sets`)
            )
            await world.admin('select pglobalxact.acknowledge($1, $2)', [set, 'test'])
        })
    })
})
