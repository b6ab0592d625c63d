/**
 * make crashes ROUNDS=10: each kind of crash alone, under load, and how long it takes until all that it left open is finished.
 * Counted from the moment at which what had crashed is there again (takes connections, or runs): how long it is away is the
 * test's choice, here half a second. With REPORT=1 the table is written to test/reports.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/wait'
import { AT_DEFAULTS } from '../support/world'
import { ChaosClient } from './client'
import type { Kind } from './faults/kind'
import { Ground } from './ground'
import { flag, number, tearDown } from './harness'
import { KINDS } from './plan'
import { random } from './random'
import { median } from './stats'
import { NODES } from './tables'

const ROUNDS = number('ROUNDS', 10)
const CLIENTS = 4
const AWAY = 500
/** A message that a crash waits for has to come along. */
const PATIENCE = 5000
const REPORTS = resolve(__dirname, '..', 'reports')

interface Timing {
    readonly name: string
    /** Milliseconds. */
    readonly times: number[]
    left: number
}

async function main(): Promise<number> {
    const ground = await Ground.create([...AT_DEFAULTS, '--metrics', 'off'])
    const clients = Array.from({ length: CLIENTS }, (_, n) => new ChaosClient(ground, `k${n + 1}`, random(1, n)))
    for (const client of clients) client.start()
    const timings = new Map<string, Timing>()
    for (let round = 0; round < ROUNDS; round++) {
        for (const kind of KINDS.filter(({ crash }) => crash)) {
            const on = kind.on[round % kind.on.length]!
            const found = await measure(ground, clients, kind, on, round)
            if (found === undefined) continue
            const name =
                kind.name.startsWith('server') || kind.name.startsWith('backend')
                    ? `${on === 'a' ? 'coordinator' : 'node'}: ${kind.name}`
                    : kind.name
            const timing = timings.get(name) ?? { name, times: [], left: 0 }
            timing.times.push(found.time)
            timing.left += found.left
            timings.set(name, timing)
        }
        console.log(`round ${round + 1} of ${ROUNDS}`)
    }
    await Promise.all(clients.map((client) => client.stop()))
    const text = table([...timings.values()])
    console.log(text)
    if (flag('REPORT')) {
        mkdirSync(REPORTS, { recursive: true })
        writeFileSync(
            join(REPORTS, 'crashes.md'),
            `# From crash to consistent\n\n    make crashes ROUNDS=${ROUNDS} REPORT=1\n\n${ABOUT}\n\n${text}\n`
        )
        writeFileSync(join(REPORTS, 'crashes.json'), `${JSON.stringify([...timings.values()])}\n`)
    }
    await ground.destroy()
    console.log(`${timings.size} passed, 0 failed`)
    return 0
}

const ABOUT = `${CLIENTS} sessions run sets without pause, over a coordinator and three nodes. Each crash alone; what crashed is away for ${AWAY} ms. Counted from the moment it is
there again until every set that was open then is finished on every node and written back. The sidecar runs
with its defaults: it looks every second, and tries again after up to 30 s.`

async function measure(ground: Ground, clients: readonly ChaosClient[], kind: Kind, on: string, roll: number) {
    const hit = { ground, on, roll, lasts: kind.name.includes(' as ') ? PATIENCE : AWAY, clients }
    const struck = (await kind.strike(hit)) !== false
    await sleep(AWAY)
    await kind.heal?.(hit)
    const began = performance.now()
    const left = await until('all answer', () => open(ground))
    await until(
        'what was open is finished',
        async () => {
            const now = await open(ground)
            return [...left].every((one) => !now.has(one))
        },
        { timeoutMs: 60_000, everyMs: 5 }
    )
    const time = performance.now() - began
    const committed = (): number =>
        clients.reduce((sum, client) => sum + client.statements.filter(({ told }) => told === 'committed').length, 0)
    const before = committed()
    await until('the load goes on', () => committed() > before + 10)
    return struck ? { time, left: left.size } : undefined
}

/** Branches that are prepared, and sets that are not complete. */
async function open({ world }: Ground): Promise<ReadonlySet<string>> {
    const all = await Promise.all([
        world.sql<{ id: string }>("select xid || '_' || nonce as id from pglobalxact.commit_record where complete_at is null"),
        ...NODES.map((name) => world.node<{ id: string }>(name, 'select gid as id from pg_prepared_xacts'))
    ])
    return new Set(all.flat().map(({ id }) => id))
}

function table(timings: readonly Timing[]): string {
    const ms = (value: number | undefined): string => (value === undefined ? '' : `${Math.round(value)} ms`)
    const rows = timings.map(
        ({ name, times, left }) =>
            `| ${name} | ${times.length} | ${(left / times.length).toFixed(1)} | ${ms(median(times))} | ${ms(Math.max(...times))} |`
    )
    return ['| crash | times | open when it was back, mean | median | worst |', '|---|---|---|---|---|', ...rows.sort()].join('\n')
}

void tearDown(main)
