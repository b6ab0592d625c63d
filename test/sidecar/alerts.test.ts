import { closeSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Client } from 'pg'
import { mountTmpfs, unmount } from '../support/tmpfs'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, expectNoSecret, newStateDir, refused } from './common'
import { Scraped, scrape } from './scraped'

interface Alert {
    readonly kind: string
    readonly set: string | null
    readonly node: string | null
    readonly detail: string
}

describe('alerts on channel pglobalxact_alert', () => {
    let world: World
    let client: Client
    const heard: Alert[] = []
    before(async () => {
        world = await World.create({ name: 'alerts', proxied: true, sidecarArgs: ['--metrics', '127.0.0.1:0'] })
        client = await world.connect()
        // Who may look may listen: no right of pglobalxact's is needed.
        const listener = await world.connect('watcher')
        listener.on('notification', ({ payload }) => heard.push(JSON.parse(payload!) as Alert))
        await listener.query('listen pglobalxact_alert')
    })
    after(() => world.destroy())
    beforeEach(() => heard.splice(0))
    afterEach(async () => {
        expectNoSecret(JSON.stringify(heard))
        await world.proxies.get('b')!.restore()
        if (world.sidecar?.running !== true) await world.startSidecar()
        await world.settled()
    })

    const hear = (kind: string): Promise<Alert> =>
        until(`an alert of kind "${kind}" is heard`, () => heard.find((one) => one.kind === kind))
    const events = (kind: string): Promise<Record<string, unknown>[]> =>
        world.sql('select set_id, detail from pglobalxact.event where kind = $1 order by id', [kind])

    /** A committed set of which no node has been told: no sidecar runs. */
    async function decidedAndPrepared(): Promise<{ readonly id: string; readonly gid: string }> {
        await world.sidecar!.stop()
        const id = await addRow(world, client)
        return { id, gid: (await world.prepared()).find((one) => one.endsWith('_1'))! }
    }

    it('tell of a set that is mixed: a branch was rolled back by hand', async () => {
        const { id, gid } = await decidedAndPrepared()
        await world.node('b', `rollback prepared '${gid}'`)
        await world.startSidecar()
        const alert = await hear('mixed')
        expect(alert).to.include({ set: id, node: null })
        expect(alert.detail).to.contain(`${gid} rolled back`)
        expect(
            await world.sql('select outcome from pglobalxact.sets() where set_id = $1', [id]),
            'as soon as it is told, it is shown'
        ).to.deep.equal([{ outcome: 'mixed' }])
        await world.sidecar!.kill()
        await world.startSidecar()
        await world.admin('select pglobalxact.acknowledge($1, $2)', [id, 'test'])
        expect(heard.length, 'a restart does not tell it again').to.equal(1)
    })

    it('tell of a set that turned out to be mixed while the coordinator was away', async () => {
        const { id, gid } = await decidedAndPrepared()
        // The decision reaches the state files, and no node.
        const cuts = [...world.proxies.values()].map((proxy) => proxy.onClientData('COMMIT PREPARED', 'before', () => void proxy.cut()))
        await world.startSidecar()
        await Promise.all(cuts)
        await world.node('b', `rollback prepared '${gid}'`)
        const elsewhere = (sql: string): Promise<unknown> => world.coordinator.query(sql, [], 'postgres')
        try {
            await elsewhere(`alter database ${world.database} allow_connections false`)
            await elsewhere(
                `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${world.database}' and usename = 'pglobalxact'`
            )
            await world.sidecar!.waitForLog(/lost the coordinator|cannot reach the coordinator/)
            for (const proxy of world.proxies.values()) await proxy.restore()
            await world.sidecar!.waitForLog(/set is mixed/)
            expect(heard).to.deep.equal([])
        } finally {
            await elsewhere(`alter database ${world.database} allow_connections true`)
        }
        expect(await hear('mixed')).to.include({ set: id })
        await world.admin('select pglobalxact.acknowledge($1, $2)', [id, 'test'])
    })

    it('tell of a fate that cannot be proved', async () => {
        await client.query("set pglobalxact.verify_enlisted = 'off'")
        await client.query('begin')
        await client.query("select pglobalxact.enlist('b')")
        const { rows } = await client.query<{ id: string }>('select pglobalxact.set_id() as id')
        await client.query('commit')
        await client.query('reset pglobalxact.verify_enlisted')
        expect(await hear('unknown')).to.include({ set: rows[0]!.id })
        await world.admin('select pglobalxact.acknowledge($1, $2)', [rows[0]!.id, 'test'])
    })

    it('tell of a coordinator that contradicts the state files, with set and node', async () => {
        await client.query('begin')
        const { gid } = (await client.query<{ gid: string }>("select pglobalxact.enlist('b') as gid")).rows[0]!
        const { id } = (await client.query<{ id: string }>('select pglobalxact.set_id() as id')).rows[0]!
        // By a role that the sidecar is no member of: so the branch stays prepared for b to show.
        await world.node('b', `begin; create table owned_by_another (); prepare transaction '${gid}'`)
        await client.query('commit')
        await until('it is in the state files', async () => (await world.admin('select pglobalxact.state_lines($1)', [id])).length > 0)
        // As in a coordinator restored from a backup of before.
        await world.sql('delete from pglobalxact.branch_record where xid::text = $1', [id.split('_')[0]])
        await world.sql('delete from pglobalxact.commit_record where xid::text = $1', [id.split('_')[0]])
        const alert = await hear('contradiction')
        expect(alert).to.include({ set: id, node: 'b' })
        await world.node('b', `commit prepared '${gid}'`)
    })

    it('tell what an event of any other hand says, and only of those that want a person', async () => {
        const note = (kind: string, detail: string): Promise<unknown> =>
            world.sql('select pglobalxact._note_event($1, null, (select number from pglobalxact.node where name = $2), $3)', [
                kind,
                'c',
                detail
            ])
        for (const kind of ['forced commit', 'acknowledged', 'adopted']) await note(kind, 'quiet')
        await note('node lost', 'by dba: its host burnt down')
        expect(await hear('node lost')).to.deep.equal({ kind: 'node lost', set: null, node: 'c', detail: 'by dba: its host burnt down' })
        expect(heard.length).to.equal(1)
    })

    it('fit into a notification whatever they have to say', async () => {
        for (const detail of ['\u0001'.repeat(9000), '𝕏'.repeat(9000), '"\\'.repeat(9000)])
            await world.sql('select pglobalxact._note_event($1, $2, null, $3)', ['node lost', detail, detail])
        await until('all are heard', () => heard.length === 3)
    })

    describe('of state files', () => {
        /** Damages a line in the middle of the state file of a sidecar that is stopped in the middle of a set. */
        async function damage(): Promise<{ readonly path: string; repair(): void }> {
            const b = world.proxies.get('b')!
            const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
            await addRow(world, client)
            await cut
            await world.sidecar!.kill()
            const path = join(
                world.stateDir,
                readdirSync(world.stateDir).find((name) => name.startsWith('state-'))!
            )
            const text = readFileSync(path, 'utf8')
            writeFileSync(path, text.replace('pending', 'pendinG'))
            return { path, repair: () => writeFileSync(path, text) }
        }

        it('that are damaged: told before the sidecar gives up with exit status 2', async () => {
            const { path, repair } = await damage()
            const { message } = await refused({ stateDir: world.stateDir, databaseUrl: world.sidecarUrl })
            expect(message).to.contain(`${path}, line `).and.contain(' is damaged')
            const alert = await hear('state damaged')
            expect(alert).to.deep.equal({ kind: 'state damaged', set: null, node: null, detail: message })
            expect(await events('state damaged')).to.deep.equal([{ set_id: null, detail: message }])
            repair()
        })

        it('that are damaged, while the coordinator does not answer: it gives up all the same', async () => {
            const { repair } = await damage()
            const sockets: Socket[] = []
            const hole = createServer((socket) => sockets.push(socket.on('error', () => undefined)))
            await new Promise<void>((done) => hole.listen(0, '127.0.0.1', done))
            const { port } = hole.address() as AddressInfo
            const url = new URL(world.sidecarUrl)
            url.port = String(port)
            const { message, logs } = await refused({ stateDir: world.stateDir, databaseUrl: url.href })
            expect(message).to.contain(' is damaged')
            expect(logs.join('\n')).to.match(/ warning could not tell the coordinator kind="state damaged"/)
            expect(sockets.length).to.be.greaterThan(0)
            for (const socket of sockets) socket.destroy()
            await new Promise((done) => hole.close(done))
            repair()
        })

        describe('on a file system of its own', () => {
            let home: Buffer
            before(async function () {
                await world.sidecar!.stop()
                home = readFileSync(join(world.stateDir, 'home'))
                if (!mountTmpfs(world.stateDir, 'size=256k,mode=0700')) return this.skip()
                writeFileSync(join(world.stateDir, 'home'), home, { mode: 0o600 })
                await world.startSidecar()
            })
            after(async () => {
                if (readdirSync(world.stateDir).length === 0) return
                await world.sidecar!.stop()
                unmount(world.stateDir)
                writeFileSync(join(world.stateDir, 'home'), home, { mode: 0o600 })
            })

            it('that is full: told once, and once when they can be written again', async () => {
                const ballast = join(world.stateDir, 'ballast')
                fill(ballast)
                await addRow(world, client)
                const alert = await hear('state unwritable')
                expect(alert.detail).to.match(/^state files cannot be written: /)
                const full = await until('a scrape shows it', async () => {
                    const scraped: Scraped = await scrape(world.sidecar!)
                    return scraped.value('pglobalxact_state_writable') === 0 && scraped
                })
                expect(full.value('pglobalxact_sets', { phase: 'commit' })).to.equal(1)
                const [{ at }] = (await world.sql<{ at: Date }>('select seen_at as at from pglobalxact.sidecar')) as [{ at: Date }]
                await until(
                    'some more rounds of housekeeping are over',
                    async () =>
                        (await world.sql<{ at: Date }>('select seen_at as at from pglobalxact.sidecar'))[0]!.at.getTime() >
                        at.getTime() + 1500
                )
                expect(heard.map(({ kind }) => kind)).to.deep.equal(['state unwritable'])
                rmSync(ballast)
                await hear('state writable')
                await client.query("select pglobalxact.await(timeout => '10 seconds')")
                expect(heard.map(({ kind }) => kind)).to.deep.equal(['state unwritable', 'state writable'])
            })
        })
    })

    function fill(path: string): void {
        const file = openSync(path, 'w')
        try {
            for (;;) writeSync(file, Buffer.alloc(4096))
        } catch (error) {
            expect((error as NodeJS.ErrnoException).code).to.equal('ENOSPC')
        } finally {
            closeSync(file)
        }
    }

    it('are not sent by a sidecar with a whole state directory that refuses for another reason', async () => {
        await refused({ stateDir: join(newStateDir(), 'missing'), databaseUrl: world.sidecarUrl })
        expect(heard).to.deep.equal([])
    })
})
