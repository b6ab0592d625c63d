/**
 * make bench-phase2: the doorbell and phase two. What is compared takes turns in one run on the same servers; a figure is the
 * median of its rounds, with the least and the most. Parts of it: make bench-phase2 PARTS="rate window".
 */
import { halfCommitted } from '../../chaos/window'
import { number, tearDown } from '../../chaos/harness'
import { spent, type Spent } from './cpu'
import { bells, idle, type Round } from './doorbell'
import { Ground, SETS } from './ground'
import { Sessions } from './load'
import { bare, bySidecar } from './rate'
import { report, type Found } from './report'

const ROUNDS = number('ROUNDS', 5)
const MILLISECONDS = number('MILLISECONDS', 3000)
const PARTS = new Set((process.env['PARTS'] || 'bells idle rate window cpu').split(/\s+/))

async function main(): Promise<number> {
    const ground = await Ground.create('phase2')
    const { world } = ground
    const found: Found = {
        bells: PARTS.has('bells') ? await allBells(ground) : [],
        idle: PARTS.has('idle') ? await idle(world, 100) : [],
        rates: PARTS.has('rate') ? await rates(ground) : [],
        windows: PARTS.has('window') ? await windows(ground, 8) : [],
        costs: PARTS.has('cpu') ? await costs(ground, 32) : []
    }
    await ground.destroy()
    return report(found)
}

async function allBells({ world }: Ground): Promise<readonly Round[]> {
    const made: Round[] = []
    for (const way of ['exec', 'enlist'] as const) made.push(...(await bells(world, way, 32, ROUNDS, MILLISECONDS)))
    await world.settled()
    return made
}

async function rates({ world }: Ground): Promise<Found['rates']> {
    const made: { sidecar: number; four: number; sixteen: number }[] = []
    for (let round = 0; round < ROUNDS; round++)
        made.push({ four: await bare(world, SETS, 4), sidecar: await bySidecar(world, SETS), sixteen: await bare(world, SETS, 16) })
    return made
}

/** All windows of each round. */
async function windows({ world }: Ground, sessions: number): Promise<Found['windows']> {
    const made: (readonly number[])[] = []
    const load = await Sessions.open(world, sessions, 'exec')
    await load.run(MILLISECONDS / 2)
    for (let round = 0; round < ROUNDS; round++) {
        await world.settled()
        const began = performance.now()
        await load.run(MILLISECONDS)
        await world.settled()
        made.push(await halfCommitted(world, (performance.now() - began) / 1000))
    }
    await load.close()
    return made
}

/** Microseconds per set. */
async function costs({ world }: Ground, sessions: number): Promise<Found['costs']> {
    const made: (Spent & { rate: number })[] = []
    const load = await Sessions.open(world, sessions, 'exec')
    await load.run(MILLISECONDS / 2)
    for (let round = 0; round < ROUNDS; round++) {
        let done = { sets: 0, rate: 0 }
        const { sidecar, coordinator, nodes } = await spent(world, async () => {
            done = await load.run(MILLISECONDS)
        })
        const { sets, rate } = done
        made.push({ sidecar: sidecar / sets, coordinator: coordinator / sets, nodes: nodes / sets, rate })
    }
    await load.close()
    await world.settled()
    return made
}

void tearDown(main)
