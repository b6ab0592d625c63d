import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { expect } from 'chai'
import { startSidecar, type Sidecar } from '../support/process'
import { World } from '../support/world'
import { refused } from './common'
import { metricsUrl, scrape } from './scraped'

const DEFAULT_PORT = 19187

/** TCP ports this process listens on. */
function listening(pid: number): number[] {
    const sockets = new Set(
        readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
            try {
                return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
            } catch {
                return [] // closed meanwhile
            }
        })
    )
    return ['tcp', 'tcp6']
        .flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trim().split('\n').slice(1))
        .map((line) => line.trim().split(/\s+/))
        .filter(([, , , state, , , , , , inode]) => state === '0A' && sockets.has(inode!))
        .map(([, local]) => Number.parseInt(local!.split(':')[1]!, 16))
}

describe('the address of the metrics', () => {
    let world: World
    const started: Sidecar[] = []
    before(async () => {
        world = await World.create({ name: 'endpoint', nodes: ['b'], bare: true })
    })
    after(() => world.destroy())
    afterEach(async () => {
        for (const sidecar of started.splice(0)) await sidecar.stop()
    })

    async function start(metrics: string | undefined): Promise<Sidecar> {
        const sidecar = startSidecar({ stateDir: world.stateDir, databaseUrl: world.sidecarUrl, env: { PGLOBALXACT_METRICS: metrics } })
        started.push(sidecar)
        await sidecar.waitForLog(/ acting /)
        return sidecar
    }

    /** A port that is in use; undefined if this one is in use by another already. */
    function occupy(port: number): Promise<Server | undefined> {
        return new Promise((done) => {
            const server = createServer()
            server.once('error', () => done(undefined)).listen(port, '127.0.0.1', () => done(server))
        })
    }

    it('may be off: then no port is open', async () => {
        const sidecar = await start('off')
        expect(listening(sidecar.pid)).to.deep.equal([])
        expect(sidecar.logs.join('\n')).to.not.contain('metrics')
    })

    it('with port 0 is a free one, which the log names, and the only one open', async () => {
        const sidecar = await start('127.0.0.1:0')
        const port = Number(new URL(await metricsUrl(sidecar)).port)
        expect(listening(sidecar.pid)).to.deep.equal([port])
        await scrape(sidecar)
    })

    it('by default is on this host only, and done without when it is taken', async () => {
        const held = await occupy(DEFAULT_PORT)
        try {
            const sidecar = await start(undefined)
            expect(await sidecar.waitForLog(/no metrics are served/)).to.match(
                /warning no metrics are served: the default address is taken address=127\.0\.0\.1:19187 error=".*EADDRINUSE.*" hint="Give another address with --metrics HOST:PORT /
            )
            expect(listening(sidecar.pid)).to.deep.equal([])
        } finally {
            await new Promise((done) => (held === undefined ? done(undefined) : held.close(done)))
        }
    })

    it('that was asked for and cannot be had is refused', async () => {
        const held = (await occupy(0))!
        const { port } = held.address() as AddressInfo
        try {
            const { message, hint } = await refused({
                stateDir: world.stateDir,
                databaseUrl: world.sidecarUrl,
                args: ['--metrics', `127.0.0.1:${port}`]
            })
            expect(message).to.match(new RegExp(`^cannot serve metrics at 127\\.0\\.0\\.1:${port}: .*EADDRINUSE`))
            expect(hint).to.equal('Give another address with --metrics HOST:PORT (port 0 takes a free one), or --metrics off.')
        } finally {
            await new Promise((done) => held.close(done))
        }
        for (const elsewhere of ['192.0.2.1:9', 'no-such-host.invalid:9']) {
            const { message } = await refused({ stateDir: world.stateDir, databaseUrl: world.sidecarUrl, args: ['--metrics', elsewhere] })
            expect(message).to.contain(`cannot serve metrics at ${elsewhere}: `)
        }
    })

    it('is free again when the sidecar stops, even while somebody keeps a connection open', async () => {
        const sidecar = await start('127.0.0.1:0')
        await scrape(sidecar)
        const { port } = new URL(await metricsUrl(sidecar))
        expect(await sidecar.stop()).to.equal(0)
        const again = await occupy(Number(port))
        expect(again).to.not.equal(undefined)
        await new Promise((done) => again!.close(done))
    })
})
