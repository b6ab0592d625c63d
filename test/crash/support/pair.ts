/** A coordinator on two hosts: its primary with a sidecar, its standby with another one that waits, in a state directory of its own. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { Cluster } from '../../support/cluster'
import { startSidecar, type Sidecar } from '../../support/process'
import { until } from '../../support/wait'
import { workDir } from '../../support/workdir'
import { PASSWORDS, type World } from '../../support/world'
import { createGround, destroyGround, type GroundOptions } from './ground'
import { addStandby, cutOff, promote } from './standby'

export const TIMES = ['--scan-interval', '200', '--retry-cap', '500', '--node-timeout', '3000'] as const

export interface Host {
    readonly server: Cluster
    readonly sidecar: Sidecar
    readonly stateDir: string
    readonly home: string
}

/** A sidecar on another host, beside a server; it does not act yet. */
export async function sidecarBeside(world: World, server: Cluster, args: readonly string[] = [], stateDir = newStateDir()): Promise<Host> {
    const databaseUrl = server.url({ database: world.database, user: 'pglobalxact', password: PASSWORDS.pglobalxact })
    const sidecar = startSidecar({ stateDir, databaseUrl, args: [...TIMES, ...args] })
    const line = await sidecar.waitForLog(/state directory read/)
    return { server, sidecar, stateDir, home: / home=([0-9a-f]{16})/.exec(line)![1]! }
}

export const newStateDir = (): string => mkdtempSync(join(workDir(), 'st-'))

export class Pair {
    /** When the primary died. */
    diedAt = 0

    private constructor(
        readonly world: World,
        readonly old: Cluster,
        readonly standby: Cluster,
        readonly oldStateDir: string
    ) {}

    static async create(options: GroundOptions): Promise<Pair> {
        const world = await createGround(options)
        const old = world.coordinator
        const standby = await addStandby(old, `${options.name}2`)
        const pair = new Pair(world, old, standby, world.stateDir)
        await until(
            'the sidecar acts again',
            async () => (await world.admin("select from pglobalxact.status() where sidecar = 'acting'")).length > 0
        )
        return pair
    }

    /** The standby's host: its sidecar waits for the promotion. */
    async secondHost(...args: readonly string[]): Promise<Host> {
        const host = await sidecarBeside(this.world, this.standby, args)
        await host.sidecar.waitForLog(/this server is a standby/)
        return host
    }

    /** The primary's host loses its power, server, sidecar and all. */
    async lose(): Promise<void> {
        this.diedAt = performance.now()
        await Promise.all([this.world.sidecar?.kill(), this.old.kill()])
    }

    /** The standby runs on, and receives nothing any more. */
    cutStandby(): Promise<void> {
        return cutOff(this.standby)
    }

    /** The standby is promoted, and its sidecar acts: at once, if its home was allowed, or once a person adopts it. */
    async takeOver(host: Host, how: 'adopt' | 'allowed'): Promise<void> {
        const { world, standby } = this
        await promote(standby)
        world.coordinator = standby
        world.sidecar = host.sidecar
        Object.assign(world, { stateDir: host.stateDir })
        if (how === 'adopt') {
            await host.sidecar.waitForLog(/is not allowed to act/)
            await world.admin("select pglobalxact.adopt('failover: the old host is gone')")
        }
        await host.sidecar.waitForLog(/ acting /)
        await world.sql(`alter server pglobalxact_loopback options (set port '${standby.port}')`)
    }

    async destroy(...others: readonly Cluster[]): Promise<void> {
        this.world.coordinator = this.standby
        await destroyGround(this.world, this.old, ...others)
        await this.standby.destroy()
    }
}
