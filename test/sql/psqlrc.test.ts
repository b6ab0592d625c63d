import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect } from 'chai'
import { PsqlSession, requirePsql } from '../support/psql'
import { until } from '../support/wait'
import { workDir } from '../support/workdir'
import { World } from '../support/world'

const FILE = resolve(__dirname, '..', '..', 'sql', 'psqlrc')

describe('sql/psqlrc', () => {
    let world: World
    let session: PsqlSession

    before(async function () {
        requirePsql.call(this)
        world = await World.create({ name: 'psqlrc' })
        session = await PsqlSession.open(world.coordinator, world.login('watcher'))
        // As in ~/.psqlrc: named from another file.
        const rc = join(workDir(), 'user.psqlrc')
        writeFileSync(rc, `\\i ${FILE}\n`)
        await session.send(`\\i ${rc}`)
    })
    after(async () => {
        await session?.close()
        await world?.destroy()
    })

    it('prints nothing when it is read', async () => {
        expect(await session.send(`\\i ${FILE}`)).to.equal('')
    })

    for (const [name, column] of Object.entries({
        sets: 'set_id',
        branches: 'set_id',
        nodes: 'node',
        prepared: 'place',
        status: 'sidecar',
        history: 'what',
        requests: 'kind',
        lock_waits: 'waits_for',
        deadlocks: 'victim',
        watched: 'slot'
    }))
        it(`has :${name}`, async () => {
            const answer = await session.send(`:${name}`)
            expect(answer)
                .to.contain(` ${column} `)
                .and.match(/\(\d+ rows?\)/)
            expect(await session.send(`\\echo :${name}`)).to.equal(`select * from pglobalxact.${name}();\n`)
        })

    it('has :doctor', async () => {
        expect(await session.send('\\echo :doctor')).to.equal('select * from pglobalxact.doctor();\n')
    })

    it('can be watched, until Ctrl-C', async () => {
        const asked = async (): Promise<number> =>
            (await world.sql<{ n: number }>("select count(*)::int as n from pglobalxact.request where kind = 'prepared'"))[0]!.n
        const before = await asked()
        const watching = session.send(':prepared \\watch 0.1')
        await until('it was asked for again and again', async () => (await asked()) > before + 3)
        session.interrupt()
        expect((await watching).match(/ place /g)!.length).to.be.at.least(3)
    })
})
