/** What is not its own is never touched, and what anyone may do (advisory locks, NOTIFY, gids of our form) decides nothing. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'

const IN_FLIGHT = 0x70677831
const COMMITTING = 0x70677832
const AWAKE = 0x70677833
const ACTING = 0x70677834
const FENCE = 0x70677835

describe('what is not its own', () => {
    let world: World
    let own: string

    before(async () => {
        world = await World.create({ name: 'invariants' })
        own = (await world.sql<{ id: string }>('select id from pglobalxact.coordinator'))[0]!.id
    })
    after(() => world.destroy())

    const onNode = (user?: 'node_app'): Promise<Client> =>
        world.nodes
            .get('b')!
            .connect(user === undefined ? { database: world.database } : { database: world.database, user, password: PASSWORDS[user] })

    async function prepare(gid: string, database = world.database): Promise<void> {
        const client = await world.nodes.get('b')!.connect({ database })
        await client.query('begin')
        await client.query('select pg_current_xact_id()')
        await client.query(`prepare transaction '${gid}'`)
        await client.end()
    }

    const all = async (): Promise<string[]> =>
        (await world.nodes.get('b')!.query<{ gid: string }>('select gid from pg_prepared_xacts order by gid')).map((row) => row.gid)

    it('prepared transactions of other coordinators, other managers and other databases stay as they are', async () => {
        const xid = (await world.sql<{ xid: string }>('select pg_current_xact_id()::text as xid'))[0]!.xid
        const foreign = [
            `pgx_${own === 'deadbeef' ? 'feedbeef' : 'deadbeef'}_${xid}_0123abcd_1`,
            'some transaction manager',
            `pgx_${own}_nonsense`,
            '1_2_3'
        ]
        for (const gid of foreign) await prepare(gid)
        const elsewhere = `pgx_${own}_${xid}_0123abcd_1`
        await prepare(elsewhere, 'postgres')
        try {
            await world.admin('select * from pglobalxact.recover()')
            await world.admin('select * from pglobalxact.recover()')
            expect(await all()).to.have.members([...foreign, elsewhere])
        } finally {
            for (const gid of foreign) await world.node('b', `rollback prepared '${gid}'`)
            await world.nodes.get('b')!.query(`rollback prepared '${elsewhere}'`)
        }
    })

    it('a branch of our form that no transaction of this database made is shown and left alone, and so is one that names another node', async () => {
        const xid = (await world.sql<{ xid: string }>('select pg_current_xact_id()::text as xid'))[0]!.xid
        const nonce = (
            await world.sql<{ n: string }>('select pglobalxact._nonce($1, $2::xid8, pg_postmaster_start_time()) as n', [own, xid])
        )[0]!.n
        const stranger = `pgx_${own}_${xid}_0123abcd_1`
        const misplaced = `pgx_${own}_${xid}_${nonce}_2`
        await prepare(stranger)
        await prepare(misplaced)
        try {
            const rows = await until('both are shown', async () => {
                const found = await world.admin<{ gid: string; state: string; last_error: string }>(
                    'select gid, state, last_error from pglobalxact.branches()'
                )
                return found.length === 2 && found
            })
            expect(rows.map((row) => row.state)).to.deep.equal(['left alone', 'left alone'])
            expect(rows.find((row) => row.gid === stranger)!.last_error).to.match(/no transaction of this database made it/)
            expect(rows.find((row) => row.gid === misplaced)!.last_error).to.match(/names node 2/)
            expect(await all()).to.have.members([stranger, misplaced])
        } finally {
            for (const gid of [stranger, misplaced]) await world.node('b', `rollback prepared '${gid}'`)
        }
        await world.settled()
    })

    it('a gid prepared in the name of a branch that only read, and so was never prepared, is left alone too', async () => {
        const client = await world.connect()
        await client.query('begin')
        await client.query("select from pglobalxact.query('b', 'select 1') as t (one integer)")
        await client.query("select pglobalxact.exec('c', 'insert into account values (55, 5)')")
        const [{ set }] = (await client.query<{ set: string }>('select pglobalxact.set_id() as set')).rows as [{ set: string }]
        await client.query('commit')
        await client.query('select pglobalxact.await()')
        const forged = `pgx_${own}_${set}_1`
        const hostile = await onNode('node_app')
        await hostile.query('begin')
        await hostile.query('select pg_current_xact_id()')
        await hostile.query(`prepare transaction '${forged}'`)
        await hostile.end()
        try {
            await world.admin('select * from pglobalxact.recover()')
            await world.admin('select * from pglobalxact.recover()')
            const [shown] = await world.admin<{ state: string }>('select state from pglobalxact.branches() where gid = $1', [forged])
            expect(shown?.state).to.equal('left alone')
            expect(await all()).to.deep.equal([forged])
        } finally {
            await world.node('b', `rollback prepared '${forged}'`)
        }
        await client.end()
        await world.settled()
    })

    it('a gid of our form prepared for a set that another transaction committed is not committed in its stead', async () => {
        const client = await world.connect()
        const set = await world.transfer(client)
        await client.query('commit')
        await client.query('select pglobalxact.await()')
        const forged = `pgx_${own}_${set}_1`
        const hostile = await onNode('node_app')
        await hostile.query('begin')
        await hostile.query('update account set balance = 0')
        await hostile.query(`prepare transaction '${forged}'`)
        await hostile.end()
        try {
            await world.admin('select * from pglobalxact.recover()')
            await world.admin('select * from pglobalxact.recover()')
            expect(await all()).to.deep.equal([forged])
        } finally {
            await world.node('b', `rollback prepared '${forged}'`)
        }
        expect((await world.balances())['b']).to.equal(1010)
        await world.settled()
    })

    describe('advisory locks taken by a hostile role', () => {
        const squatters: Client[] = []
        afterEach(async () => {
            for (const squatter of squatters.splice(0)) await squatter.end()
            if (!world.sidecar!.running) await world.startSidecar()
            await world.settled()
        })

        async function squat(client: Client, lockClass: number, key: number): Promise<void> {
            squatters.push(client)
            await client.query('select pg_advisory_lock($1, $2)', [lockClass, key])
        }

        /** A set that lives for a while, commits, and is finished. */
        async function setWorks(): Promise<void> {
            const before = await world.balances()
            const client = await world.connect()
            await world.transfer(client)
            await world.admin('select * from pglobalxact.recover()')
            await world.admin('select * from pglobalxact.recover()')
            await client.query('commit')
            expect((await client.query<{ outcome: string }>('select pglobalxact.await() as outcome')).rows[0]!.outcome).to.equal(
                'committed'
            )
            const after = await world.balances()
            expect([after['b']! - before['b']!, after['c']! - before['c']!]).to.deep.equal([10, 10])
        }

        it('to hide sets in flight do not have their remote work ended', async () => {
            for (const node of [1, 2]) await squat(await world.connect(), IN_FLIGHT, node)
            await setWorks()
        })

        it('to silence the doorbell cost time only', async () => {
            await squat(await world.connect(), COMMITTING, 0)
            await squat(await world.connect(), AWAKE, 0).catch(() => undefined)
            await setWorks()
        })

        it('to keep the sidecar from acting are passed over', async () => {
            await world.sidecar!.stop()
            await squat(await world.connect(), ACTING, 0)
            await squat(await onNode('node_app'), FENCE, Number.parseInt(own, 16) | 0)
            await world.startSidecar()
            await setWorks()
            expect((await world.admin<{ fence: string }>('select fence from pglobalxact.nodes()')).map((row) => row.fence)).to.deep.equal([
                'held',
                'held'
            ])
        })

        it('to look like an acting sidecar convince nobody: a call fails at once', async () => {
            await world.sidecar!.stop()
            await squat(await world.connect(), ACTING, 0)
            const error = await world.admin('select * from pglobalxact.recover()').then(
                () => undefined,
                (thrown: unknown) => thrown
            )
            expect(error)
                .to.have.property('message')
                .that.matches(/no sidecar is running/)
        })
    })
})
