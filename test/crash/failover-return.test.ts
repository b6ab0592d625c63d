/** After a failover of the coordinator the old host comes back: as it was, or as the standby of the new one, with its old state directory. */
import { expect } from 'chai'
import type { Cluster } from '../support/cluster'
import type { Sidecar } from '../support/process'
import { until } from '../support/wait'
import { stateFiles } from './support/ledger'
import { Load, rowsEverywhere } from './support/load'
import { alarms, leftAlone } from './support/lost'
import { Pair, sidecarBeside, type Host } from './support/pair'
import { addStandby, inStep, promote } from './support/standby'

describe('the old primary comes back after a failover', () => {
    let pair: Pair
    const others: Cluster[] = []
    beforeEach(async () => {
        pair = await Pair.create({ name: 'back' })
    })
    afterEach(() => pair.destroy(...others.splice(0)))

    async function expectAgreement(): Promise<void> {
        await pair.world.settled()
        const rows = await rowsEverywhere(pair.world)
        for (const name of ['b', 'c']) expect(rows[name], `rows on ${name}`).to.deep.equal(rows['a'])
    }

    async function someSets(count: number): Promise<void> {
        const load = new Load(pair.world)
        await load.more(count)
        await load.end()
    }

    /** As the DBA at any server. */
    async function ask<R extends Record<string, unknown>>(server: Cluster, sql: string): Promise<R[]> {
        const client = await server.connect(pair.world.login('dba'))
        try {
            return (await client.query<R>(sql)).rows
        } finally {
            await client.end()
        }
    }

    it('as it was, with its sidecar and state directory: it is fenced off at every node, says so, and finishes nothing', async () => {
        const { world, old } = pair
        const host = await pair.secondHost('--lost-sets', 'rollback')
        await someSets(10)
        await pair.lose()
        await pair.takeOver(host, 'adopt')
        await world.settled()
        await old.start()
        const back = await sidecarBeside(world, old, [], pair.oldStateDir)
        try {
            await back.sidecar.waitForLog(/ acting /)
            await until('it says at both nodes who holds the fence', async () => {
                const rows = await ask<{ fence: string }>(old, 'select fence from pglobalxact.nodes()')
                return (
                    rows.length === 2 &&
                    rows.every(({ fence }) => /^held by another sidecar of this coordinator or of a copy of it: pid \d+, pgx_/.test(fence))
                )
            })
            // A program that still knows the old address: its COMMIT succeeds there, and the nodes never hear of it.
            const astray = await old.connect(world.login('app'))
            await astray.query("begin; select pglobalxact.exec('b', 'insert into account values (55, 0)')")
            const [{ id }] = (await astray.query<{ id: string }>('select pglobalxact.set_id() as id')).rows as [{ id: string }]
            await astray.query('commit')
            await astray.end()
            expect(await leftAlone(world)).to.deep.equal([id])
            const [branch] = await world.admin('select last_error from pglobalxact.branches($1)', [id])
            expect(branch!['last_error']).to.match(/^no transaction of this database made it/)
            for (const { result } of await ask<{ result: string }>(old, 'select result from pglobalxact.recover()'))
                expect(result).to.match(/^fenced off: held by another sidecar/)
            await someSets(5)
            expect(await leftAlone(world), 'still prepared').to.deep.equal([id])
            await Promise.all([back.sidecar.kill(), old.kill()])
            await world.admin("select from pglobalxact.force_rollback($1, reason => 'made on the old primary', confirm => 'yes')", [id])
            await expectAgreement()
        } finally {
            await back.sidecar.kill()
        }
    })

    /** A set whose decision is in the old host's state files, and whose branches are not finished: the host dies right then. */
    async function unfinished(faultPoint: string): Promise<string> {
        const { world } = pair
        await world.sidecar!.stop()
        await world.startSidecar(['--fault-point', faultPoint])
        await world.nodesReached()
        const load = new Load(world, { most: 1, sessions: 1 })
        await load.more(1)
        await load.end()
        await world.sidecar!.waitForLog(/stopped at fault point/)
        expect(stateFiles(world), 'state files of the old host').to.not.be.empty
        return load.committed[0]!.set!
    }

    /** The old host is made anew from the present primary, keeps its state directory, and later takes over in its turn. */
    async function failBack(host: Host): Promise<Sidecar> {
        const { world, standby } = pair
        const again = await addStandby(standby, 'again')
        others.push(again)
        const back = await sidecarBeside(world, again, [], pair.oldStateDir)
        await back.sidecar.waitForLog(/this server is a standby: waiting for its promotion/)
        await Promise.all([host.sidecar.kill(), standby.kill()])
        await promote(again)
        world.coordinator = again
        world.sidecar = back.sidecar
        Object.assign(world, { stateDir: pair.oldStateDir })
        await back.sidecar.waitForLog(/ acting /)
        await world.sql(`alter server pglobalxact_loopback options (set port '${again.port}')`)
        return back.sidecar
    }

    it('as the standby of the new one: what its state files still hold is old news, and at its own promotion does no harm', async () => {
        const { world, old } = pair
        const host = await pair.secondHost()
        await someSets(5)
        await world.settled()
        const set = await unfinished('between commits')
        await inStep(old)
        await pair.lose()
        await pair.takeOver(host, 'adopt')
        await expectAgreement()
        await failBack(host)
        await expectAgreement()
        expect(await world.sql('select pglobalxact.outcome($1) as o', [set])).to.deep.equal([{ o: 'committed' }])
        expect(await alarms(world)).to.deep.equal([])
        await someSets(5)
        await expectAgreement()
    })

    it('as the standby of the new one, with a lost set in its state files: it is committed at last, and the contradiction reported by name', async () => {
        const { world, old, standby } = pair
        const host = await pair.secondHost()
        await inStep(old)
        await pair.cutStandby()
        const set = await unfinished('after state line')
        await pair.lose()
        await pair.takeOver(host, 'adopt')
        expect(await leftAlone(world)).to.deep.equal([set])
        expect(standby.pid).to.not.equal(undefined)
        const back = await failBack(host)
        await until('its branches are finished', async () => (await world.prepared()).length === 0)
        expect(await alarms(world)).to.deep.equal([{ kind: 'contradiction', set_id: set }])
        await world.settled()
        // A restart has no more to say, and nothing is left of it in the state files.
        await back.kill()
        await world.startSidecar()
        await world.settled()
        expect(await alarms(world)).to.deep.equal([{ kind: 'contradiction', set_id: set }])
    })
})
