/** Root hooks: containers can be had if they are asked for; after the last test nothing of what the tests started is left. */
import { binaries, containers } from './binaries'
import { destroyAllClusters } from './cluster'
import { signal } from './proctree'
import { deprecations } from './process'
import { closeAllProxies } from './proxy'
import { livingChildren, removeWorkDir } from './workdir'

const LINGER = 10_000

/** After a failed test a connection of its may be left, and would keep the process for ever. */
function leave(): void {
    console.error('something that a test left open keeps the test process: ended')
    process.on('exit', () => (process.exitCode ||= 1))
    process.exit()
}

export const mochaHooks = {
    async beforeAll(this: Mocha.Context): Promise<void> {
        if (!containers()) return
        // The image may have to be pulled.
        this.timeout(600_000)
        await binaries()
    },

    async afterAll(this: Mocha.Context): Promise<void> {
        this.timeout(120_000)
        await closeAllProxies()
        await destroyAllClusters()
        // Servers are ended for the tests; a sidecar or a psql that a test forgot is its bug.
        const children = [...livingChildren()]
        for (const [pid] of children) signal(pid, 'SIGKILL')
        const left = children.map(([pid, what]) => `${what} (pid ${pid})`).concat((await containers()?.leftContainers()) ?? [])
        if (left.length > 0) throw new Error(`left running by the tests: ${left.join(', ')}`)
        removeWorkDir()
        const old = deprecations()
        if (old.length > 0) throw new Error(`the sidecar used what is deprecated, ${old.length} times; the first:\n${old[0]}`)
        setTimeout(leave, LINGER).unref()
    }
}
