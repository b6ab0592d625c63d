/** What a hostile role can do with prepared transactions under gids of our form. (test/crash/invariants.test.ts has gids of other origin.) */
import { expect } from 'chai'
import { refused, rows, value } from '../support/refused'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { hostileWorld } from './hostile/support'

describe('a hostile role', () => {
    let world: World
    let own: string
    const { keep, app, onNode, setWorks, prepared, prepareAs, gidOf, rollbackAll } = hostileWorld('hostile_gids', (made, id) => {
        world = made
        own = id
    })

    describe('that prepares transactions under gids of our form', () => {
        afterEach(rollbackAll)

        it('of a set that runs: the set fails as a whole, the error names the gid, and nothing of the set is left', async () => {
            const victim = await app()
            const set = await world.transfer(victim)
            await prepareAs(`pgx_${own}_${set}_1`)
            await refused(victim.query('commit'), {
                code: '42710',
                message: new RegExp(`^set rolled back: node "b": transaction identifier "pgx_${own}_${set}_1" is already in use$`)
            })
            expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
            await until('no branch is left', async () => (await prepared('c')).length === 0)
            await setWorks()
        })

        it('of a set that is enlisted: it does not pass for the work of the program', async () => {
            const victim = await app()
            await victim.query('begin')
            const gid = (await value(victim, `select pglobalxact.enlist('b')`)) as string
            await prepareAs(gid)
            await refused(victim.query('commit'), {
                code: '55000',
                message:
                    /^set rolled back: node "b": transaction "\S+" is not prepared there by this program, but by role "nobody_here", of which the user mapping's role is not a member$/
            })
        })

        it("of sets that are rolled back, or yet to come: they are in nobody's way for long", async () => {
            const victim = await app()
            const set = await world.transfer(victim)
            await victim.query('rollback')
            const [next] = await world.sql<{ xid: string }>('select pg_snapshot_xmax(pg_current_snapshot())::text as xid')
            const future = String(BigInt(next!.xid) + 50n)
            await prepareAs(`pgx_${own}_${set}_1`, 'node_app')
            await prepareAs(await gidOf(future, 1), 'node_app')
            await until('both are rolled back', async () => (await prepared()).length === 0)
            await setWorks()
        })

        it('of roles that the sidecar may not act for: they stay, are shown with the reason, and nothing else waits for them', async () => {
            const victim = await app()
            const set = await world.transfer(victim)
            await victim.query('rollback')
            await prepareAs(`pgx_${own}_${set}_1`)
            const watcher = await keep(world.coordinator.connect(world.login('watcher')))
            const shown = await until(
                'it is shown',
                async () =>
                    (
                        await rows<{ state: string; last_error: string }>(
                            watcher,
                            `select state, last_error from pglobalxact.branches() where last_error is not null`
                        )
                    )[0]
            )
            expect(shown.state).to.equal('retry')
            expect(shown.last_error).to.match(/permission denied/)
            await setWorks()
        })

        it('of a committed set that is not finished on that node: neither is committed for the other', async () => {
            await world.sidecar!.stop()
            const victim = await app()
            const set = await world.transfer(victim, 10, ['b'])
            await victim.query('commit')
            await refused(prepareAs(`pgx_${own}_${set}_1`), { code: '42710', message: /already in use/ })
            // Not a branch of this set, and on another node; and a node number that is not this node's.
            await prepareAs(`pgx_${own}_${set}_2`, 'node_app', 'c')
            await prepareAs(`pgx_${own}_${set}_7`, 'node_app', 'c')
            await world.startSidecar()
            expect(await value(victim, 'select pglobalxact.await($1)', [set])).to.equal('committed')
            await until('the one that was no branch is rolled back', async () => (await prepared('c')).length === 1)
            expect((await prepared('c'))[0]!.gid).to.equal(`pgx_${own}_${set}_7`)
            expect((await world.balances())['b']).to.equal(1010)
        })

        it('or finishes those of others: it may not', async () => {
            await world.sidecar!.stop()
            const victim = await app()
            const set = await world.transfer(victim, 10, ['b'])
            await victim.query('commit')
            const hostile = await onNode('nobody_here')
            for (const how of ['commit', 'rollback'])
                await refused(hostile.query(`${how} prepared 'pgx_${own}_${set}_1'`), { code: '42501', message: /permission denied/ })
            await world.startSidecar()
            expect(await value(victim, 'select pglobalxact.await($1)', [set])).to.equal('committed')
        })
    })
})
