import { requireMounts, unmountAll } from '../crash/support/mounts'
import { startCluster, type Cluster } from '../support/cluster'
import { requirePsql } from '../support/psql'
import { World } from '../support/world'
import { BACKLOG, DIRECTORY, DISK, PROCESS, SESSIONS } from './doctor/sidecar'
import { provokeAndCure } from './doctor/support'

describe('doctor() on the sidecar', () => {
    let world: World
    const clusters: Record<string, Cluster> = {}
    before(async function () {
        requirePsql.call(this)
        for (const name of ['a', 'b']) clusters[name] = await startCluster({ name })
        world = await World.create({ name: 'doctor_s', nodes: ['b'], proxied: true, clusters })
    })
    after(async () => {
        await world?.destroy()
        for (const cluster of Object.values(clusters)) await cluster.destroy()
    })

    describe('the process', () => provokeAndCure(PROCESS, () => world))
    describe('its load', () => provokeAndCure([BACKLOG], () => world))
    describe('its sessions', () => provokeAndCure(SESSIONS, () => world))
    describe('its directory', () => {
        before(function () {
            if (process.getuid?.() === 0) return
            console.error('    SKIPPED, nothing is proved: giving files away needs root')
            this.skip()
        })
        provokeAndCure(DIRECTORY, () => world)
    })
    describe('its disk', () => {
        before(requireMounts)
        after(unmountAll)
        provokeAndCure(DISK, () => world)
    })
})
