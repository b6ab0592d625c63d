/** What was found, on the screen, and with REPORT=1 in test/reports. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join, resolve } from 'node:path'
import { flag } from '../../chaos/harness'
import { median, percentile } from '../../chaos/stats'
import { table } from '../markdown'
import { spread, type Spread } from '../result'
import type { Cost, CostOptions } from './costs'
import { FEATURES, OFF, PLAIN } from './features'

const REPORTS = resolve(__dirname, '..', '..', 'reports')

export interface Found {
    readonly options: CostOptions
    /** Round by round. */
    readonly rounds: readonly (readonly Cost[])[]
    /** Milliseconds. */
    readonly aborts: { readonly off: readonly number[]; readonly watched: readonly number[] }
}

export function report(found: Found): void {
    const text = markdown(found)
    console.log(text)
    if (!flag('REPORT')) return
    mkdirSync(REPORTS, { recursive: true })
    writeFileSync(join(REPORTS, 'costs.md'), text)
    writeFileSync(join(REPORTS, 'costs.json'), `${JSON.stringify(found)}\n`)
}

export function markdown({ options, rounds, aborts }: Found): string {
    const all = [PLAIN, ...FEATURES]
    const { sessions, seconds, idleSeconds } = options
    return `# What the parts cost that are off unless asked for

    make bench-costs REPORT=1

${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}); a coordinator and two nodes on one host; ${sessions} sessions without a pause, each set with one row changed by \`exec\` on
each of two nodes. The parts take turns within each of ${rounds.length} rounds of ${seconds} s; a ratio is that of two turns of one round. Medians, with the least and
the most in parentheses. The processors are all busy, so what a part needs of them is what the load loses.

## Under load

${table(
    [
        'switched on',
        'sets/s, of those without',
        'commit p50 ms',
        'commit p99 ms',
        'coordinator µs',
        'nodes µs',
        'sidecar µs',
        'WAL on a node, bytes'
    ],
    all.map(({ name, title }) => [
        title,
        name === OFF.name ? '1' : told(ratios(rounds, name), 2),
        ...[({ cell }: Cost) => cell.commit.p50, ({ cell }: Cost) => cell.commit.p99].map((read) => told(of(rounds, name, read), 1)),
        ...[
            ({ cell }: Cost) => cell.cpu.coordinator,
            ({ cell }: Cost) => cell.cpu['node servers'],
            ({ cell }: Cost) => cell.cpu.sidecar,
            ({ wal }: Cost) => wal
        ].map((read) => of(rounds, name, read).median.toFixed(0))
    ])
)}

Microseconds of processor time and bytes are per set.

## While nothing is done

Percent of one processor, over ${idleSeconds} s.

${table(
    ['switched on', 'coordinator', 'both nodes', 'sidecar'],
    all.map(({ name, title }) => [
        title,
        ...(['coordinator', 'nodes', 'sidecar'] as const).map((party) =>
            told(
                of(rounds, name, ({ idle }) => idle[party]),
                1
            )
        )
    ])
)}

## Commits held

Milliseconds for which the gate was closed, under that load, as the functions themselves tell.

${table(
    ['', 'times', 'median', 'p95', 'most'],
    FEATURES.flatMap(({ name, title }) => {
        const held = costsOf(rounds, name).flatMap(({ held }) => held)
        return held.length === 0 ? [] : [[title, String(held.length), ...digits(held)]]
    })
)}

## An abort behind PREPARE

Milliseconds from the answer of a \`COMMIT\` that failed when both nodes had prepared, until nothing was prepared any more.

${table(
    ['', 'times', 'median', 'p95', 'most'],
    [
        ['the nodes are looked at (\`--scan-interval\` 1 s)', String(aborts.off.length), ...digits(aborts.off)],
        ['the nodes are watched', String(aborts.watched.length), ...digits(aborts.watched)]
    ]
)}
`
}

const digits = (values: readonly number[]): string[] =>
    [median(values)!, percentile(values, 0.95)!, Math.max(...values)].map((value) => value.toFixed(1))

const told = ({ median: middle, least, most }: Spread, places: number): string =>
    `${middle.toFixed(places)} (${least.toFixed(places)} to ${most.toFixed(places)})`

const costsOf = (rounds: Found['rounds'], name: string): readonly Cost[] =>
    rounds.flatMap((round) => round.filter(({ feature }) => feature === name))

const of = (rounds: Found['rounds'], name: string, read: (cost: Cost) => number): Spread => spread(costsOf(rounds, name).map(read))

/** Round by round. */
const ratios = (rounds: Found['rounds'], name: string): Spread => spread(rounds.map((round) => rate(round, name) / rate(round, OFF.name)))

const rate = (round: readonly Cost[], name: string): number => round.find(({ feature }) => feature === name)!.cell.rate
