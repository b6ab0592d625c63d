import { execFileSync } from 'node:child_process'
import { appendFileSync, closeSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Client } from 'pg'
import { formatLine } from '../../sidecar/statelines'
import { mountTmpfs, unmount } from '../support/tmpfs'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, failure } from './common'

describe('the state directory of a running sidecar', () => {
    let world: World
    let client: Client
    before(async () => {
        world = await World.create({ name: 'statedir', proxied: true })
    })
    after(() => world.destroy())
    beforeEach(async () => {
        client = await world.connect()
    })
    afterEach(async () => {
        await world.proxies.get('b')!.restore()
        if (world.sidecar?.running !== true) await world.startSidecar()
        await world.settled()
    })

    const note = async (): Promise<string> => (await world.sql<{ note: string }>('select note from pglobalxact.status()'))[0]!.note
    const stateFiles = (): string[] =>
        readdirSync(world.stateDir)
            .filter((name) => name.startsWith('state-'))
            .map((name) => join(world.stateDir, name))

    /** A decided set stays prepared everywhere, through many looks at the nodes, while the decision cannot be written. */
    async function nothingIsSentUntil(repaired: () => void): Promise<void> {
        const id = await addRow(world, client)
        await until('status() says so', async () => /^state files cannot be written: /.test(await note()))
        const prepared = await world.prepared()
        expect(prepared).to.have.lengthOf(2)
        const looks = new Set<string>()
        await until('the nodes have been looked at again and again', async () => {
            const sessions = await world.node<{ at: string }>(
                'b',
                "select query_start::text as at from pg_stat_activity where application_name ~ '_sidecar_' and datname = current_database()"
            )
            return sessions.some(({ at }) => looks.add(at).size > 5)
        })
        expect(await world.prepared()).to.deep.equal(prepared)
        const tried = await world.admin<{ result: string }>('select result from pglobalxact.retry($1)', [id])
        for (const { result } of tried) expect(result).to.equal('not yet committed: its decision cannot be written to the state files')
        expect(await failure(client.query("select pglobalxact.await(timeout => '100 milliseconds')"))).to.include({ code: '57014' })
        repaired()
        await client.query("select pglobalxact.await(timeout => '10 seconds')")
        await until('status() says that all is well', async () => (await note()) === 'acting')
        expect(world.sidecar!.logs.filter((line) => / error state files cannot be written /.test(line)).length).to.be.within(1, 3)
    }

    describe('on a file system of its own', () => {
        before(async function () {
            await world.sidecar!.stop()
            const home = readFileSync(join(world.stateDir, 'home'))
            if (!mountTmpfs(world.stateDir, 'size=256k,mode=0700')) return this.skip()
            writeFileSync(join(world.stateDir, 'home'), home, { mode: 0o600 })
            await world.startSidecar()
        })
        after(async () => {
            const home = readFileSync(join(world.stateDir, 'home'))
            if (!execFileSync('mount', { encoding: 'utf8' }).includes(world.stateDir)) return
            await world.sidecar!.stop()
            unmount(world.stateDir)
            writeFileSync(join(world.stateDir, 'home'), home, { mode: 0o600 })
        })

        it('that is full: nothing is sent to a node before the decision is on disk', async () => {
            const ballast = join(world.stateDir, 'ballast')
            const file = openSync(ballast, 'w')
            try {
                for (;;) writeSync(file, Buffer.alloc(4096))
            } catch (error) {
                expect((error as NodeJS.ErrnoException).code).to.equal('ENOSPC')
            }
            closeSync(file)
            await nothingIsSentUntil(() => rmSync(ballast))
        })

        it('that turns read-only: the same', async () => {
            execFileSync('mount', ['-o', 'remount,ro', world.stateDir])
            await nothingIsSentUntil(() => execFileSync('mount', ['-o', 'remount,rw', world.stateDir]))
        })
    })

    it('that is taken away and put back: the same', async () => {
        renameSync(world.stateDir, `${world.stateDir}.away`)
        await nothingIsSentUntil(() => renameSync(`${world.stateDir}.away`, world.stateDir))
    })

    it('whose state file is removed while a set is live gets another, with that set in it', async () => {
        const b = world.proxies.get('b')!
        const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
        const id = await addRow(world, client)
        await cut
        for (const file of stateFiles()) rmSync(file)
        await addRow(world, client, ['c'])
        await until(
            'the live set is on disk again',
            () => stateFiles().length === 1 && readFileSync(stateFiles()[0]!, 'utf8').includes(`${id} `)
        )
    })

    it('with a last line torn by a crash: the line is dropped, told, and the set finished all the same', async () => {
        const b = world.proxies.get('b')!
        const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
        await addRow(world, client)
        await cut
        await world.sidecar!.kill()
        const [file] = stateFiles()
        const text = readFileSync(file!, 'utf8')
        appendFileSync(file!, text.trimEnd().split('\n').at(-1)!.slice(0, 40))
        await b.restore()
        const sidecar = await world.startSidecar()
        expect(sidecar.logs[0]).to.match(new RegExp(` warning dropped a line that a crash left unfinished at="${file}, line \\d+"$`))
        await world.settled()
    })

    it('cut off in the middle of a set: the set is taken whole from its commit record, not half from disk', async () => {
        const b = world.proxies.get('b')!
        const c = world.proxies.get('c')!
        // Neither node hears of the commit: what the sidecar knows of the set is in the file and in the database.
        const cuts = [
            b.onClientData('COMMIT PREPARED', 'before', () => void b.cut()),
            c.onClientData('COMMIT PREPARED', 'before', () => void c.cut())
        ]
        const id = await addRow(world, client)
        await Promise.all(cuts)
        await world.sidecar!.kill()
        const [file] = stateFiles()
        // As a crash while the set's lines were written can leave the file: with one branch of two.
        const lines = readFileSync(file!, 'utf8').split('\n')
        const first = lines.find((line) => line.startsWith(`${id} `) && /_2 pending /.test(line))
        const empty = formatLine({ kind: 'compacted', sets: 0 }, new Date())
        writeFileSync(file!, `${lines[0]}\n${empty}${first}\n`)
        await c.restore()
        const sidecar = await world.startSidecar()
        expect(sidecar.logs[0]).to.match(/ warning dropped a line that a crash left unfinished /)
        await until(
            'c has committed',
            async () => (await world.node('c', 'select from pg_prepared_xacts where database = current_database()')).length === 0
        )
        expect(
            (
                await world.sql(
                    "select pglobalxact.outcome($1) as o, complete_at from pglobalxact.commit_record where xid::text || '_' || nonce = $1",
                    [id]
                )
            )[0],
            'b still waits'
        ).to.deep.equal({ o: 'committed', complete_at: null })
        await b.restore()
    })
})
