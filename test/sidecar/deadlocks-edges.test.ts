import { expect } from 'chai'
import type { Client } from 'pg'
import { refused, value } from '../support/refused'
import { until } from '../support/wait'
import { PASSWORDS, type World } from '../support/world'
import { deadlocks } from './deadlocks/support'

describe('who waits for whom', () => {
    let world: World
    const { keep, waits, stuck, watch, counts, begin, take, wait, ending, idOf } = deadlocks('waits', (ready) => (world = ready), {
        proxied: true,
        sidecarArgs: ['--node-timeout', '1500']
    })

    const onNode = (node: string, user: string, password: string, application_name = 'test') =>
        keep(world.nodes.get(node)!.connect({ database: world.database, user, password, application_name }))
    const outsider = (node: string) => keep(world.nodes.get(node)!.connect({ database: world.database }))
    async function looksPass(count: number): Promise<void> {
        const { looks } = await counts()
        await until(`${count} looks have passed`, async () => (await counts()).looks > looks + count)
    }

    it('names a transaction that somebody else has prepared, which is in nobody’s way to be a victim', async () => {
        const other = await outsider('b')
        await other.query("begin; update account set balance = balance where id = 1; prepare transaction 'nightly'")
        try {
            await watch('resolve')
            const client = await begin()
            await take(client, 'c')
            const id = await idOf(client)
            const { ending: end } = await wait(take(client, 'b'), 1)
            expect((await waits()).map(({ place, waiter, waits_for, blocker_is }) => [place, waiter, waits_for, blocker_is])).to.deep.equal(
                [['b', id, 'nightly', `prepared transaction, role postgres, database ${world.database}`]]
            )
            expect(await stuck()).to.deep.equal([])
            await other.query("rollback prepared 'nightly'")
            expect(await end).to.equal(undefined)
            await client.query('commit')
        } finally {
            await other.query("rollback prepared 'nightly'").catch(() => undefined)
        }
    })

    it('has a set whose branch is prepared already wait with the one that is not, until it is decided', async () => {
        await world.node('c', 'create table if not exists once (n int unique deferrable initially deferred); grant all on once to node_app')
        await watch('report')
        const [older, younger] = [await begin(), await begin()]
        const insert = (client: Client) => client.query(`select pglobalxact.exec('c', 'insert into once values (1)')`)
        await insert(older)
        await take(younger, 'b')
        await insert(younger)
        const commit = ending(younger.query('commit'))
        await until('b is prepared, and c waits', async () => (await world.prepared()).length === 1 && (await waits()).length === 1)
        const first = await wait(take(older, 'b'), 2)
        const cycle = await stuck()
        expect(cycle.map(({ place, victim }) => [place, victim])).to.deep.equal([
            ['c', true],
            ['b', false]
        ])
        await watch('resolve')
        expect(await commit).to.include({ code: '40P01' })
        expect(await first.ending).to.equal(undefined)
        await older.query('rollback')
        await until('recovery has rolled it back', async () => (await world.prepared()).length === 0)
        expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
    })

    it('believes no stranger on a node who calls himself a branch', async () => {
        await watch('resolve')
        await world.node(
            'b',
            `do $$ begin create role nobody_here login password 'nobody-7'; exception when duplicate_object then null; end $$`
        )
        await world.node('b', 'grant all on account to nobody_here')
        const [first, second] = [await begin(), await begin()]
        await take(second, 'b', 2)
        await take(second, 'c', 1)
        const [named] = await world.node<{ name: string }>(
            'b',
            `select application_name as name from pg_stat_activity where application_name ~ $1`,
            [`^pgx_[0-9a-f]{8}_${String(await value(second, 'select pg_backend_pid()'))}_`]
        )
        // Were he the second set, the first would wait for it on b, and it waits for the first on c.
        const liar = await onNode('b', 'nobody_here', 'nobody-7', named!.name)
        await liar.query('begin; update account set balance = balance where id = 1')
        await take(first, 'c', 2)
        const one = await wait(take(first, 'b', 1), 1)
        const two = await wait(take(second, 'c', 2), 2)
        expect((await waits()).filter(({ place }) => place === 'b').map(({ waits_for }) => waits_for)[0]).to.match(/^b pid \d+$/)
        expect(await stuck()).to.deep.equal([])
        await looksPass(3)
        await liar.query('rollback')
        expect(await one.ending).to.equal(undefined)
        await first.query('commit')
        expect(await two.ending).to.equal(undefined)
        await second.query('commit')
    })

    it('finds a set that waits for itself, where a node is the coordinator’s own database', async () => {
        await world.sql(`do $$ begin create role node_app login; exception when duplicate_object then null; end $$`)
        await world.sql(`do $$ begin create role node_sidecar login; exception when duplicate_object then null; end $$`)
        await world.sql(`alter role node_app password '${PASSWORDS.node_app}'; alter role node_sidecar password '${PASSWORDS.node_sidecar}';
            grant node_app to node_sidecar; grant all on account to node_app`)
        await world.createServer('self', world.coordinator)
        await world.admin(`select * from pglobalxact.add_node('self')`)
        try {
            await watch('resolve')
            const client = await begin()
            await take(client, 'a')
            expect(await ending(take(client, 'self'))).to.include({ code: '40P01' })
            await client.query('rollback')
        } finally {
            await watch('off')
            await world.settled()
            await world.admin(`select pglobalxact.remove_node('self')`)
        }
    })

    it('knows a connection of a program that enlisted it and named it after the gid', async () => {
        await watch('resolve')
        const [older, younger] = [await begin(), await begin()]
        const gid = String(await value(older, `select pglobalxact.enlist('b')`))
        const enlisted = await onNode('b', 'node_app', PASSWORDS.node_app, gid)
        await enlisted.query('begin; update account set balance = balance + 1 where id = 1')
        await take(younger, 'c')
        const first = await wait(take(older, 'c'), 1)
        expect(await ending(take(younger, 'b'))).to.include({ code: '40P01' })
        expect(await first.ending).to.equal(undefined)
        await enlisted.query('rollback')
        await older.query('rollback')
    })

    it('makes no deadlock of waits of which one had ended when the other began', async () => {
        const [one, two] = [await begin(), await begin()]
        const gid = String(await value(one, `select pglobalxact.enlist('b')`))
        const direct = await onNode('b', 'node_app', PASSWORDS.node_app, gid)
        await take(two, 'b')
        await take(one, 'a')
        await two.query('savepoint before')
        const pid = await value(two, 'select pg_backend_pid()')
        const first = await wait(take(two, 'a'), 1)
        // The look has been at the coordinator, and its question to b stays under way.
        const proxy = world.proxies.get('b')!
        const underWay = proxy.onClientData('pg_stat_get_activity', 'before', () => proxy.blackhole())
        const cycles = stuck()
        await underWay
        await world.sql('select pg_cancel_backend($1)', [pid])
        expect(await first.ending).to.include({ code: '57014' })
        await two.query('rollback to before')
        const end = ending(direct.query('begin; update account set balance = balance where id = 1'))
        await until('it waits on b', async () => (await world.node('b', 'select from pg_locks where not granted')).length > 0)
        await proxy.restore()
        expect(await cycles).to.deep.equal([])
        expect((await waits()).length).to.equal(1)
        await two.query('rollback')
        expect(await end).to.equal(undefined)
        await direct.query('rollback')
        await one.query('rollback')
    })

    it('asks all nodes though one is silent, finds what there is elsewhere, and says which did not answer', async () => {
        await watch('resolve')
        const third = await begin()
        await take(third, 'b', 5)
        await take(third, 'c', 5)
        world.proxies.get('b')!.blackhole()
        try {
            const asked = waits()
            // A deadlock between c and the coordinator, while b is silent.
            const [older, younger] = [await begin(), await begin()]
            await take(older, 'c', 2)
            await take(older, 'a', 2)
            await take(younger, 'c', 3)
            const client = ending(take(older, 'c', 3))
            expect(await ending(take(younger, 'a', 2))).to.include({ code: '57014' })
            expect(await client).to.equal(undefined)
            await older.query('rollback')
            expect((await asked).map(({ place, lock }) => [place, lock.replace(/\d+/, 'n')])).to.deep.include([
                'b',
                'does not answer: no answer within n ms'
            ])
        } finally {
            await world.proxies.get('b')!.restore()
        }
    })

    it('is not told without a sidecar, nor is anything ordered', async () => {
        await world.sidecar!.stop()
        try {
            for (const call of ['lock_waits()', 'deadlocks()', 'deadlock_dot()', `detect_deadlocks('report')`])
                await refused(world.admin(`select * from pglobalxact.${call}`), { code: '55000', message: /^no sidecar is running/ })
            expect((await counts()).mode).to.equal('off')
        } finally {
            await world.startSidecar()
        }
        for (const mode of ['on', '', 'OFF', null])
            await refused(world.admin('select pglobalxact.detect_deadlocks($1)', [mode]), {
                code: '22023',
                message: /is not a way|null/,
                hint: /resolve/
            })
    })
})
