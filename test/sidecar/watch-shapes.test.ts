import { expect } from 'chai'
import type { Client } from 'pg'
import { until } from '../support/wait'
import { World } from '../support/world'
import { allowWatching, logicalCluster, prepareOn, PUBLISHING, streams, type Branch } from './watching'

/**
 * test_decoding does not say what identifies a row: the catalogs are asked afterwards, and may have changed since. Each branch deletes
 * (1, null) from a table that is FULL, and somebody commits it behind the back of its set: it is to be undone.
 */
describe('a node whose plugin says nothing of replica identities', () => {
    let world: World
    let client: Client

    before(async function () {
        const b = await logicalCluster('ls')
        if (b.versionNum >= PUBLISHING) this.skip() // pgoutput says it
        world = await World.create({ name: 'watchshapes', nodes: ['b'], clusters: { b } })
        await allowWatching(world, 'b')
        await world.node('b', 'create table t (id int primary key, more text); alter table t owner to node_app')
        await world.admin("select * from pglobalxact.watch_node('b')")
        await streams(world, 'b')
        client = await world.connect()
    })
    after(() => world?.destroy())
    beforeEach(() => world.node('b', 'alter table t replica identity full; truncate t; insert into t values (1, null)'))

    const FULL = "insert into public.t (id, more) overriding system value values ('1', NULL)"
    const DELETE = 'delete from t where id = 1'
    const commit = ({ gid }: Branch): Promise<unknown> => world.node('b', `commit prepared '${gid}'`)

    /** The statement of its only step, or what is wrong with it, once the coordinator has it. */
    async function undone({ id }: Branch): Promise<string> {
        await client.query('rollback')
        const [step] = await until('the node has told of the commit', async () => {
            const found = await world.admin<{ step: number; statement: string; problem: string }>(
                'select * from pglobalxact.repair_sql($1)',
                [id]
            )
            const rows = found.filter(({ step }) => step !== 0 && step !== null)
            return rows.length > 0 && rows
        })
        await world.admin('select pglobalxact.acknowledge($1, $2)', [id, 'seen']).catch(() => undefined)
        return step!.problem ?? step!.statement
    }

    /** What happens on the node while the sidecar sees nothing comes to it at once: the branch is finished when it asks. */
    async function unseen(work: () => Promise<Branch>): Promise<Branch> {
        // The second look from here on begins after what was done before.
        for (let look = 0; look < 2; look++) {
            const now = await world.sql<{ at: string }>('select clock_timestamp()::text as at')
            const looked = 'select from pglobalxact.watch_status where checked_at > $1'
            await until('it has looked', async () => (await world.sql(looked, [now[0]!.at])).length === 1)
        }
        world.sidecar!.pause()
        try {
            return await work()
        } finally {
            world.sidecar!.resume()
        }
    }

    it('is asked while the branch is prepared', async () => {
        const branch = await prepareOn(world, 'b', client, DELETE)
        await until('it was asked', async () => (await world.admin('select * from pglobalxact.changes($1)', [branch.id])).length === 1)
        await commit(branch)
        await world.node('b', 'alter table t replica identity default')
        expect(await undone(branch)).to.contain(FULL)
    })

    it('is asked after it was finished, if the table is as it was before', async () => {
        const branch = await unseen(async () => {
            const prepared = await prepareOn(world, 'b', client, DELETE)
            await commit(prepared)
            return prepared
        })
        expect(await undone(branch)).to.contain(FULL)
    })

    it('is not believed when the table was altered meanwhile', async () => {
        await world.node('b', 'alter table t replica identity default')
        const branch = await unseen(async () => {
            const prepared = await prepareOn(world, 'b', client, DELETE)
            await commit(prepared)
            // Taken at its word now, the value of "more" would pass for null.
            await world.node('b', 'alter table t replica identity full')
            return prepared
        })
        expect(await undone(branch)).to.match(/is not known for certain/)
    })

    it('is not believed when nothing shows when the branch was finished', async () => {
        await world.sidecar!.stop()
        const branch = await prepareOn(world, 'b', client, DELETE)
        await commit(branch)
        await world.startSidecar()
        await streams(world, 'b')
        expect(await undone(branch)).to.match(/is not known for certain/)
    })

    it('is not believed about a table that the branch itself has altered', async () => {
        const branch = await prepareOn(world, 'b', client, 'alter table t replica identity default', DELETE)
        await until('it was asked', async () => (await world.admin('select * from pglobalxact.changes($1)', [branch.id])).length === 1)
        await commit(branch)
        expect(await undone(branch)).to.match(/is not known for certain/)
    })
})
