/** A node without room: no free slot for a prepared transaction, or no space left on its disk. */
import { expect } from 'chai'
import { DatabaseError } from 'pg'
import type { Client } from 'pg'
import { until } from '../support/wait'
import type { World } from '../support/world'
import { ClosedGate, installGate } from './support/gate'
import { createGround, destroyGround, reviveWithSidecar } from './support/ground'
import { Ledger } from './support/ledger'
import { requireMounts, SmallDisk } from './support/mounts'
import { beginTransfer, openClient, sendCommit } from './support/session'

const SEGMENT = 16 * 1024 * 1024

describe('a node without room', () => {
    let world: World
    let disk: SmallDisk | undefined

    before(async () => {
        world = await createGround({ name: 'node_full', settings: { c: { max_prepared_transactions: 1, wal_keep_size: 0 } } })
        await installGate(world)
        await world.node('c', 'create table ledger (line text); grant all on ledger to node_app')
    })
    beforeEach(() => reviveWithSidecar(world))
    afterEach(() => disk?.free())
    after(() => destroyGround(world))

    /** Waits until the sidecar acts at c: after a restart of c. */
    const cIsBack = () =>
        until(
            'the sidecar has c',
            async () =>
                (await world.admin("select from pglobalxact.nodes() where node = 'c' and reachable and fence = 'held'")).length === 1
        )

    async function refusedCommit(session: Awaited<ReturnType<typeof openClient>>): Promise<DatabaseError> {
        const answer = await sendCommit(session)
        expect(answer).to.be.instanceOf(DatabaseError)
        return answer as DatabaseError
    }

    it('with its last prepared slot taken refuses the set, which is rolled back everywhere', async () => {
        const ledger = await Ledger.open(world)
        await world.node('c', "begin; create table elsewhere (); prepare transaction 'another manager''s'")
        const session = await openClient(world)
        const set = await beginTransfer(world, session)
        const error = await refusedCommit(session)
        expect(error).to.include({ code: '53200', message: 'set rolled back: node "c": maximum number of prepared transactions reached' })
        expect(error.hint).to.match(/Node "c" has no free slot.*max_prepared_transactions/)
        await ledger.closesAs('rolled back', set)
        expect(await world.node('c', 'select gid from pg_prepared_xacts')).to.deep.equal([{ gid: "another manager's" }])
        await world.node('c', "rollback prepared 'another manager''s'")
        const next = await beginTransfer(world, session)
        expect(await sendCommit(session)).to.equal('committed')
        await ledger.closesAs('committed', next)
    })

    it('with prepared transactions disabled refuses the set, and says what to change', async () => {
        const ledger = await Ledger.open(world)
        await world.nodes.get('c')!.configure({ max_prepared_transactions: 0 })
        const session = await openClient(world)
        const set = await beginTransfer(world, session)
        const error = await refusedCommit(session)
        expect(error).to.include({ code: '55000', message: 'set rolled back: node "c": prepared transactions are disabled' })
        expect(error.hint).to.match(/set max_prepared_transactions there to at least its max_connections, and restart it/)
        await ledger.closesAs('rolled back', set)
        await world.nodes.get('c')!.configure({ max_prepared_transactions: 1 })
        await cIsBack()
    })

    describe('on its disk', () => {
        before(async function () {
            requireMounts.call(this)
            const c = world.nodes.get('c')!
            await c.stop()
            disk = SmallDisk.under(c.dataDir, 48 * 1024)
            await c.start()
            await cIsBack()
        })

        /** Uses the write-ahead log up to the last bytes of its last file, so that the next record needs a new file. */
        async function fillLog(): Promise<void> {
            const client: Client = await world.nodes.get('c')!.connect({ database: world.database })
            const rest = async (): Promise<number> => {
                const { rows } = await client.query<{ last: string; at: string }>(
                    "select max(name) as last, pg_current_wal_insert_lsn() - '0/0' as at from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'"
                )
                const { last, at } = rows[0]!
                return (Number.parseInt(last.slice(8, 16), 16) * 256 + Number.parseInt(last.slice(16), 16) + 1) * SEGMENT - Number(at)
            }
            for (const [size, least] of [
                [1_000_000, 1_100_000],
                [5_000, 7_000],
                [100, 300],
                [1, 90]
            ] as const) {
                while ((await rest()) > least) await client.query("select pg_logical_emit_message(false, '', repeat('x', $1))", [size])
            }
            await client.end()
        }

        /** Space again; the server, if the lack of it ended it, starts again. */
        async function clearDisk(): Promise<void> {
            const c = world.nodes.get('c')!
            expect(c.log()).to.match(/PANIC: .*No space left on device/)
            disk!.free()
            await c.restart('immediate')
        }

        it('refuses the statement, and the set is rolled back everywhere', async () => {
            const ledger = await Ledger.open(world)
            const session = await openClient(world)
            const set = await beginTransfer(world, session)
            disk!.fill()
            const error = await session
                .run("select pglobalxact.exec('c', 'insert into ledger select repeat(i::text, 100) from generate_series(1, 20000) i')")
                .then(
                    () => undefined,
                    (caught: unknown) => caught
                )
            expect(error).to.be.instanceOf(DatabaseError).and.include({ code: '53100' })
            await session.run('commit')
            await ledger.closesAs('rolled back', set)
        })

        it('dies at PREPARE, and the set is rolled back everywhere', async () => {
            const ledger = await Ledger.open(world)
            const session = await openClient(world)
            const set = await beginTransfer(world, session)
            disk!.fill()
            await fillLog()
            expect((await refusedCommit(session)).message).to.match(/^set rolled back: node "c": /)
            await clearDisk()
            await ledger.closesAs('rolled back', set)
        })

        it('dies at COMMIT PREPARED, and its branch is committed when there is space again', async () => {
            const ledger = await Ledger.open(world)
            const session = await openClient(world)
            const gate = await ClosedGate.close(world)
            const set = await beginTransfer(world, session, 'behind')
            const answer = sendCommit(session)
            await gate.reached()
            disk!.fill()
            await fillLog()
            await gate.open()
            expect(await answer).to.equal('committed')
            await until(
                'c is shown to be waited for',
                async () =>
                    (await world.admin("select from pglobalxact.branches($1) where node = 'c' and last_error is not null", [set])).length >
                    0,
                { timeoutMs: 6000 }
            ).catch(() => console.log(world.nodes.get('c')!.log().slice(-3000)))
            await clearDisk()
            await ledger.closesAs('committed', set)
        })
    })
})
