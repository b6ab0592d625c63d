import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect } from 'chai'
import { startSidecar, type Sidecar } from '../support/process'
import { until } from '../support/wait'
import { PASSWORDS, World } from '../support/world'
import { addRow, expectNoSecret, failure, newStateDir } from './common'

describe('passwords', () => {
    let world: World
    const notifications: string[] = []
    before(async () => {
        world = await World.create({ name: 'secrets', proxied: true })
        const listener = await world.connect('watcher')
        listener.on('notification', ({ channel, payload }) => notifications.push(`${channel} ${payload ?? ''}`))
        await listener.query('listen pglobalxact')
    })
    after(() => world.destroy())

    const commandLine = (sidecar: Sidecar): string => readFileSync(`/proc/${sidecar.pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
    const stateFiles = (): string[] => readdirSync(world.stateDir).filter((name) => name.startsWith('state-'))

    it('are in no log, state file, notification, table of ours or process title, through good times and bad', async () => {
        const client = await world.connect()
        await addRow(world, client)
        // A node that cannot be logged in to, one that is cut off, a refused request, a set that waits on disk.
        await world.sql(`create server d foreign data wrapper dblink_fdw options (host '127.0.0.1', port '${world.nodes.get('b')!.port}', dbname '${world.database}');
            grant usage on foreign server d to pglobalxact; create user mapping for pglobalxact server d options (user 'node_sidecar', password '${PASSWORDS.app}')`)
        const [reached] = await world.admin<{ ok: boolean; detail: string }>("select * from pglobalxact.add_node('d')")
        expect(reached).to.include({ ok: false })
        expect(reached!.detail).to.match(/password authentication failed/)
        await failure(world.admin(`select * from pglobalxact.add_node('${PASSWORDS.dba.slice(0, 3)}nonsense')`))
        const b = world.proxies.get('b')!
        const held = b.onClientData('COMMIT PREPARED', 'before', () => b.blackhole())
        await addRow(world, client)
        await held
        await until(
            'the wait is on the books',
            async () => (await world.sql("select from pglobalxact.branches() where state = 'waiting'")).length > 0
        )
        const lines = await world.admin<{ state_lines: string }>('select * from pglobalxact.state_lines()')
        expect(lines.length).to.be.greaterThan(2)
        expect(stateFiles()).to.have.lengthOf(1)

        expectNoSecret(world.sidecar!.logs.join('\n'))
        expect(
            world.sidecar!.logs.some((line) => line.includes('password authentication failed')),
            'the log was written to'
        ).to.equal(true)
        for (const name of stateFiles()) expectNoSecret(readFileSync(join(world.stateDir, name), 'utf8'))
        expectNoSecret(JSON.stringify(lines))
        expect(notifications).to.not.deep.equal([])
        expectNoSecret(notifications.join('\n'))
        expectNoSecret(await tables())
        expect(commandLine(world.sidecar!)).to.equal('pglobalxact run')
        b.resetAll()
        await b.restore()
        await world.admin("select pglobalxact.remove_node('d')")
        await world.settled()
    })

    /** Every row of every table in schema pglobalxact, as text. */
    async function tables(): Promise<string> {
        const names = await world.sql<{ name: string }>(
            "select c.oid::regclass::text as name from pg_class c where c.relnamespace = 'pglobalxact'::regnamespace and c.relkind in ('r', 'v')"
        )
        expect(names.length).to.be.greaterThan(10)
        const rows = await Promise.all(names.map(({ name }) => world.sql(`select to_jsonb(t) from ${name} t`)))
        return JSON.stringify(rows)
    }

    it('given on the command line leave it at once', async () => {
        const sidecar = startSidecar({ stateDir: newStateDir(), args: ['--database-url', world.sidecarUrl] })
        await sidecar.waitForLog(/is not allowed to act/)
        expect(commandLine(sidecar)).to.equal('pglobalxact run')
        expect(readFileSync(`/proc/${sidecar.pid}/comm`, 'utf8')).to.equal('pglobalxact run\n')
        await sidecar.stop()
        expectNoSecret(sidecar.logs.join('\n'))
    })

    it('of the coordinator are not given to a node that has none of its own', async () => {
        const node = await greedyServer()
        const server = `create server e foreign data wrapper dblink_fdw options (host '127.0.0.1', port '${node.port}', dbname 'x', sslmode 'disable');
            grant usage on foreign server e to pglobalxact; create user mapping for pglobalxact server e options (user 'node_sidecar')`
        await world.sql(server)
        await world.sidecar!.stop()
        // By PG* variables, which every connection of the process could read.
        world.sidecar = startSidecar({
            stateDir: world.stateDir,
            env: world.coordinator.env(world.login('pglobalxact')),
            args: ['--node-timeout', '1000']
        })
        await world.sidecar.waitForLog(/ acting /)
        await world.admin("select * from pglobalxact.add_node('e')")
        await until('the node has asked for a password and was answered', () => node.heard.length > 0)
        expect(node.heard.join('\n')).to.contain('node_sidecar')
        expectNoSecret(node.heard.join('\n'))
        await world.admin("select pglobalxact.remove_node('e')")
        await node.close()
    })

    it('of the loopback are known to the user mapping alone, whatever the server logs', async () => {
        await world.coordinator.reload({ log_statement: 'all', log_min_duration_statement: 0 })
        await world.install()
        await world.coordinator.reload({ log_statement: null, log_min_duration_statement: null })
        const [mapping] = await world.sql<{ password: string }>(
            "select substr(o, 10) as password from pg_user_mappings m, unnest(m.umoptions) o where m.srvname = 'pglobalxact_loopback' and o like 'password=%'"
        )
        expect(mapping!.password).to.have.length.above(20)
        expect(world.coordinator.log()).to.not.contain(mapping!.password)
        expect(await tables()).to.not.contain(mapping!.password)
        expect(world.coordinator.log(), 'the log was on').to.match(/statement: .*set_config/)
        // And it still works.
        await world.admin('select * from pglobalxact.recover()')
    })
})

/** Asks every client for its password in clear text, and remembers all it hears. */
async function greedyServer(): Promise<{ readonly port: number; readonly heard: string[]; close(): Promise<void> }> {
    const heard: string[] = []
    const server = createServer((socket) => {
        socket.on('error', () => undefined)
        socket.on('data', (data) => {
            heard.push(data.toString('latin1'))
            socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3])) // AuthenticationCleartextPassword
        })
    })
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    return { port: (server.address() as AddressInfo).port, heard, close: () => new Promise((done) => server.close(() => done())) }
}
