/** How long a deadlock over several servers stands: from the statement that closes the cycle until the victim's error. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import { AT_DEFAULTS, type World } from '../../support/world'
import { deadlockWorld } from '../../sidecar/deadlocks/support'
import { target, figure, type Figure, type Part } from './figures'
import { startServers } from './servers'

const TIMEOUTS = [1000, 200, 50] // ms of deadlock_timeout
const SHORTEST = 50 // ms: looks come no closer, and what they take themselves is no longer little then

interface Stood {
    /** Milliseconds until the victim's error. */
    readonly victim: number
    /** The same, until the other set has what it waited for. */
    readonly other: number
}

export async function measureDeadlocks({ deadlocks }: { readonly deadlocks: number }): Promise<Part> {
    const clusters = await startServers(['a', 'b', 'c'])
    const rounds: Record<number, readonly Stood[]> = {}
    const figures: Figure[] = []
    for (const timeout of TIMEOUTS) {
        const world = await deadlockWorld({ name: 'stands', clusters, sidecarArgs: AT_DEFAULTS }, `${timeout}ms`)
        await world.admin("select pglobalxact.detect_deadlocks('resolve')")
        const all = (rounds[timeout] = await timesOf(world, deadlocks, timeout))
        const inUnits = (read: (stood: Stood) => number): number[] => all.map((stood) => read(stood) / timeout)
        const ended = [`deadlock_timeout ${timeout} ms: until the victim has its error`, inUnits(({ victim }) => victim), 2, ' ×'] as const
        figures.push(
            timeout > SHORTEST ? target(...ended, { atMost: 2 }) : figure(...ended),
            figure(
                `deadlock_timeout ${timeout} ms: until the other set goes on`,
                inUnits(({ other }) => other),
                2,
                ' ×'
            )
        )
        await world.destroy()
    }
    await Promise.all(Object.values(clusters).map((cluster) => cluster.destroy()))
    return {
        item: 'deadlocks',
        title: 'How long a deadlock stands',
        how: `Two sets over two nodes, ${deadlocks} times for each deadlock_timeout, one after the other, at moments that have nothing to do with the looks; from sending the statement that closes the cycle, in units of that setting.`,
        figures,
        rounds,
        at: new Date().toISOString()
    }
}

async function timesOf(world: World, deadlocks: number, timeout: number): Promise<readonly Stood[]> {
    const clients = [await world.connect(), await world.connect()] as const
    const all: Stood[] = []
    for (let done = 0; done <= deadlocks; done++) {
        const stood = await one(clients, timeout)
        // The first makes connections and plans.
        if (done > 0) all.push(stood)
    }
    return all
}

async function one([first, second]: readonly [Client, Client], timeout: number): Promise<Stood> {
    const take = (client: Client, node: string): Promise<unknown> =>
        client.query('select pglobalxact.exec($1, $2)', [node, 'update account set balance = balance + 1 where id = 1'])
    const anyTime = (): Promise<void> => sleep(Math.random() * timeout)
    for (const client of [first, second]) await client.query('begin')
    await take(first, 'b')
    await take(second, 'c')
    await anyTime()
    const waits = timed(take(first, 'c'))
    await anyTime()
    const began = performance.now()
    const ends = await Promise.all([waits, timed(take(second, 'b'))])
    const [other, victim] = ends[0].code === undefined ? ends : [ends[1], ends[0]]
    if (victim.code !== '40P01' || other.code !== undefined) throw new Error(`no deadlock ended with one victim: ${JSON.stringify(ends)}`)
    for (const client of [first, second]) await client.query('rollback')
    return { victim: victim.at - began, other: other.at - began }
}

const timed = (statement: Promise<unknown>): Promise<{ readonly at: number; readonly code: string | undefined }> =>
    statement.then(
        () => ({ at: performance.now(), code: undefined }),
        (error: { readonly code?: string }) => ({ at: performance.now(), code: error.code ?? 'none' })
    )
