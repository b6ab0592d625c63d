/**
 * PostgreSQL shows only 32 bits of the xids of what is open, and a snapshot's xmax lies before some of them as long as an older
 * transaction is open too. Every test here has one that is.
 */
import { expect } from 'chai'
import type { Client } from 'pg'
import { widenXid } from '../../sidecar/protocol'
import { PASSWORDS, World } from '../support/world'

describe('the full xid of a transaction that is open beside older ones', () => {
    let world: World
    const sessions: Client[] = []

    before(async () => {
        world = await World.create({ name: 'xids' })
    })
    after(() => world.destroy())
    afterEach(async () => {
        for (const session of sessions.splice(0)) await session.end()
        await world.settled()
    })

    const open = async (client: Client): Promise<string> => {
        sessions.push(client)
        await client.query('begin')
        return (await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid')).rows[0]!.xid
    }
    const onNode = (): Promise<Client> =>
        world.nodes.get('b')!.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })

    it('is right in the record of an enlisted branch', async () => {
        for (let n = 0; n < 3; n++) await open(await onNode())
        const app = await world.connect()
        await app.query('begin')
        const { gid, set } = (
            await app.query<{ gid: string; set: string }>("select pglobalxact.enlist('b') as gid, pglobalxact.set_id() as set")
        ).rows[0]!
        const program = await onNode()
        const xid = await open(program)
        await program.query(`prepare transaction '${gid}'`)
        await app.query('commit')
        const [record] = await world.sql<{ xid: string }>(
            "select branch_xid::text as xid from pglobalxact.branch_record where xid || '_' || nonce = $1",
            [set]
        )
        expect(record!.xid).to.equal(xid)
        expect((await app.query<{ outcome: string }>('select pglobalxact.await() as outcome')).rows[0]!.outcome).to.equal('committed')
    })

    it('names sets in flight by the ids that their own sessions know', async () => {
        const own: string[] = []
        for (let n = 0; n < 4; n++) {
            const app = await world.connect()
            sessions.push(app)
            await app.query('begin')
            await app.query(`select pglobalxact.exec('c', 'insert into account values (${100 + n}, 0)')`)
            own.push((await app.query<{ set: string }>('select pglobalxact.set_id() as set')).rows[0]!.set)
        }
        const shown = await world.admin<{ set_id: string }>('select set_id from pglobalxact.sets()')
        expect(shown.map(({ set_id }) => set_id)).to.have.members(own)
    })

    it('is the nearest one, across the end of 32 bits too', async () => {
        const cases = [
            ['746', '745', '746'],
            ['740', '745', '740'],
            ['4294967290', '4294967300', '4294967290'],
            ['2', '4294967290', '4294967298'],
            ['3', '8589934600', '8589934595']
        ]
        for (const [short, near, full] of cases) {
            const [row] = await world.sql<{ full: string }>('select pglobalxact._widen_xid($1, $2)::text as full', [short, near])
            expect(row!.full, `${short} near ${near}`).to.equal(full)
            expect(widenXid(short!, BigInt(near!)), `${short} near ${near}, by the sidecar`).to.equal(full)
        }
    })
})
