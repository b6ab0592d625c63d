import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Client } from 'pg'
import { formatLine } from '../../sidecar/statelines'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow } from './common'

/** Whole lines lost from the end leave no trace in a file: nothing in it tells it from an earlier state of itself. */
describe('state files that lost whole lines, which nobody can see', () => {
    let world: World
    let client: Client
    before(async () => {
        world = await World.create({ name: 'lineslost', proxied: true })
    })
    after(() => world.destroy())
    beforeEach(async () => {
        client = await world.connect()
    })
    afterEach(async () => {
        for (const proxy of world.proxies.values()) await proxy.restore()
        await world.settled()
    })

    /** A set that is decided and durable, of which no node has heard when the sidecar is killed. Its id, and its lines. */
    async function decidedSet(): Promise<{
        readonly id: string
        readonly path: string
        readonly header: string
        readonly lines: string[]
    }> {
        const cuts = [...world.proxies.values()].map((proxy) => proxy.onClientData('COMMIT PREPARED', 'before', () => void proxy.cut()))
        const id = await addRow(world, client)
        await Promise.all(cuts)
        await world.sidecar!.kill()
        const path = join(
            world.stateDir,
            readdirSync(world.stateDir).find((name) => name.startsWith('state-'))!
        )
        const [header, ...lines] = readFileSync(path, 'utf8').split('\n')
        return { id, path, header: header!, lines: lines.filter((line) => line.startsWith(`${id} `)) }
    }

    for (const [what, keep] of [
        ['a whole set', () => false],
        ['one branch of a set', (line: string) => !/_2 pending /.test(line)]
    ] as const) {
        it(`without ${what}, every branch is committed all the same, as its commit record says`, async () => {
            const { id, path, header, lines } = await decidedSet()
            expect(lines.length).to.be.at.least(3)
            // The set entered behind an empty compacted part: there no count gives the loss away.
            const compacted = formatLine({ kind: 'compacted', sets: 0 }, new Date())
            const left = lines.filter(keep).map((line) => `${line}\n`)
            writeFileSync(path, `${header}\n${compacted}${left.join('')}`)
            expect(await world.prepared()).to.have.lengthOf(2)
            for (const proxy of world.proxies.values()) await proxy.restore()
            const sidecar = await world.startSidecar()
            expect(
                sidecar.logs.filter((line) => /unfinished|damaged/.test(line)),
                'the file does not show it'
            ).to.deep.equal([])
            await until('nothing is prepared', async () => (await world.prepared()).length === 0)
            await until(
                'the set is complete',
                async () =>
                    (
                        await world.sql(
                            "select from pglobalxact.commit_record where outcome = 'committed' and xid::text || '_' || nonce = $1",
                            [id]
                        )
                    ).length === 1
            )
            for (const node of ['b', 'c'])
                expect((await world.node(node, 'select max(id) as id from account'))[0]!['id'], node).to.be.greaterThan(1000)
            expect(await world.sql("select from pglobalxact.event where kind in ('mixed', 'unknown', 'contradiction')")).to.deep.equal([])
        })
    }
})
