/**
 * make endurance SECONDS=3600 RATE=60: steady load without faults, and whether anything grows. Writes its report to
 * test/reports; ends with "N passed, N failed" (the rules of verdict.ts) and a status that says the same.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { startCluster, type Cluster } from '../support/cluster'
import { AT_DEFAULTS, World } from '../support/world'
import { Load, moneyMissing, prepareTables } from './endurance/load'
import { write } from './endurance/report'
import { takeSample, type Sample } from './endurance/sample'
import { judge } from './endurance/verdict'
import { number, tearDown } from './harness'
import { KEEPS_COMMIT_TIMES } from './window'

const SECONDS = number('SECONDS', 3600)
const RATE = number('RATE', 60)
const SESSIONS = 4
/** A twelfth of the run: records are purged for most of it. */
const RETENTION = Math.max(5, Math.min(300, Math.round(SECONDS / 12)))
const EVERY = Math.max(0.5, Math.min(10, SECONDS / 120))

async function main(): Promise<number> {
    const [a, b, c] = (await Promise.all(
        ['a', 'b', 'c'].map((name) => startCluster({ name, settings: { shared_buffers: '64MB', ...KEEPS_COMMIT_TIMES } }))
    )) as [Cluster, Cluster, Cluster]
    const world = await World.create({
        name: 'endurance',
        clusters: { a, b, c },
        sidecarArgs: [...AT_DEFAULTS, '--metrics', '127.0.0.1:0']
    })
    await prepareTables(world)
    await world.sql(`update pglobalxact.coordinator set retention = make_interval(secs => ${RETENTION})`)
    const load = new Load(world, SESSIONS, RATE)
    await load.start()
    const samples = await watch(world, load)
    await load.stop()
    await world.settled()
    const findings = judge(samples, await moneyMissing(world), (await world.prepared()).length)
    const postgres = (await world.sql<{ v: string }>("select split_part(current_setting('server_version'), ' ', 1) as v"))[0]!.v
    const path = write({ seconds: SECONDS, sessions: SESSIONS, rate: RATE, retention: RETENTION, postgres, samples, findings })
    await world.destroy()
    for (const one of findings) console.log(`${one.ok ? 'holds ' : 'BROKEN'}  ${one.what}: ${one.measured}; rule: ${one.rule}`)
    console.log(`report: ${path}`)
    const failed = findings.filter(({ ok }) => !ok).length
    console.log(`${findings.length - failed} passed, ${failed} failed`)
    return failed
}

async function watch(world: World, load: Load): Promise<readonly Sample[]> {
    const began = performance.now()
    const samples: Sample[] = []
    for (let n = 1; n * EVERY <= SECONDS; n++) {
        await sleep(Math.max(0, began + n * EVERY * 1000 - performance.now()))
        samples.push(await takeSample(world, load, began, EVERY))
        if (n % 30 === 0) tell(samples.at(-1)!)
    }
    return samples
}

function tell(sample: Sample): void {
    const { at, sets, p50, p99, rss, errors, lastError } = sample
    const trouble = errors > 0 ? `, ${errors} errors, the last: ${lastError}` : ''
    console.log(
        `${at.toFixed(0)} s: ${sets} sets, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(1)} ms, ${(rss / 1048576).toFixed(1)} MB${trouble}`
    )
}

void tearDown(main)
