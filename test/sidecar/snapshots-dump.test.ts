import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { missingPgDump, runDump } from '../support/dump'
import { workDir } from '../support/workdir'
import { PASSWORDS, World } from '../support/world'
import { nothingHeld } from './snapshots/support'
import { SnapshotLoad } from './snapshots/load'

describe('packaging/pglobalxact-dump', () => {
    let world: World
    let directory: string
    before(async function () {
        world = await World.create({ name: 'dump' })
        const server = missingPgDump(world.coordinator)
        if (server !== undefined) {
            console.error(`    SKIPPED, nothing is proved: no pg_dump of version ${server} or later is installed`)
            return this.skip()
        }
        directory = mkdtempSync(join(workDir(), 'dump-'))
    })
    after(async () => {
        await world?.destroy()
        if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
    })

    const run = (args: readonly string[]): ReturnType<typeof runDump> =>
        runDump(
            directory,
            { coordinator: world.coordinator, dba: world.login('dba'), there: { user: 'node_app', password: PASSWORDS.node_app } },
            args
        )

    /** What a dump holds of the load's table, summed. */
    function sumIn(file: string): bigint {
        const { stdout } = spawnSync('pg_restore', ['-a', '-t', 'pot', '-f', '-', join(directory, file)], { encoding: 'utf8' })
        const rows = [...stdout.matchAll(/^\d+\t(-?\d+)$/gm)]
        expect(rows, file).to.have.lengthOf.greaterThan(0)
        return rows.reduce((sum, [, n]) => sum + BigInt(n!), 0n)
    }

    it('writes dumps of all servers under load that add up, says how long commits were held, and lets the snapshots go', async () => {
        const load = await SnapshotLoad.start(world)
        // A dump reads everything it finds: the schema of the sets, too.
        await world.sql('grant pglobalxact to dba; grant select on account, pot to dba')
        for (const node of world.nodes.keys()) await world.node(node, 'grant select on account to node_app')
        try {
            const { code, stderr } = await run([])
            expect(code, stderr).to.equal(0)
            expect(stderr).to.match(/^commits of sets were held for [\d.]+ ms$/m)
        } finally {
            await load.end()
        }
        expect(load.failures).to.deep.equal([])
        expect(
            readdirSync(directory)
                .filter((name) => name.endsWith('.dump'))
                .sort()
        ).to.deep.equal(['b.dump', 'c.dump', 'coordinator.dump'])
        expect(sumIn('coordinator.dump') + sumIn('b.dump') + sumIn('c.dump')).to.equal(load.total)
        await nothingHeld(world)
        await world.settled()
    })

    it('fails where a dump does, and lets the snapshots go all the same', async () => {
        const { code, stderr } = await run(['b', 'nowhere'])
        expect(code).to.not.equal(0)
        expect(stderr).to.match(/node "nowhere" does not exist/)
        await world.node('b', 'create table secret (n int)')
        const refused = await run(['b'])
        expect(refused.code).to.not.equal(0)
        expect(refused.stderr).to.match(/secret/)
        await nothingHeld(world)
    })
})
