/** The report in Markdown. */
import { median } from '../chaos/stats'
import type { Breakdown } from './breakdown'
import { figures, tables } from './breakdown-text'
import type { Cell, Percentiles } from './cell'
import { SETTINGS_TEXT } from './ground'
import { cellsOf, ratio, valuesOf, type Measured } from './result'
import { verdicts } from './targets'
import { VARIANTS } from './variants'

export interface Results {
    readonly points: readonly Measured[]
    readonly breakdowns: readonly Breakdown[]
}

const NONE = '–'

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
    const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
    return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n')
}

const measuredHere = (points: readonly Measured[]): readonly string[] =>
    VARIANTS.map(({ name }) => name).filter((name) => points.some(({ variants }) => variants.includes(name)))

/** A set of points that differ in one thing: throughput with its spread, and the ratios. */
function grid(title: string, points: readonly Measured[], label: (point: Measured) => string): string {
    if (points.length === 0) return ''
    const names = measuredHere(points)
    const rates = names.map((name) => [
        name,
        ...points.map((point) => {
            if (!point.variants.includes(name)) return NONE
            const { median: middle, least, most } = valuesOf(point, name, ({ rate }) => rate)
            return `${middle.toFixed(0)} (${least.toFixed(0)} to ${most.toFixed(0)})`
        })
    ])
    const ratios = names.map((name) => [
        name,
        ...points.map((point) => {
            const found = ratio(point, name)
            return found ? `**${found.median.toFixed(2)}** (${found.least.toFixed(2)} to ${found.most.toFixed(2)})` : NONE
        })
    ])
    const head = (first: string): string[] => [first, ...points.map(label)]
    return `## ${title}\n\n${table(head('ratio to the floor'), ratios)}\n\n${table(head('transfers per second'), rates)}\n`
}

/** Of a value over the rounds. */
const middle = (point: Measured, name: string, read: (cell: Cell) => number | undefined): number | undefined =>
    median(cellsOf(point, name).flatMap((cell) => read(cell) ?? []))

function three(point: Measured, name: string, read: (cell: Cell) => Percentiles | undefined): string {
    const all = (['p50', 'p95', 'p99'] as const).map((which) => middle(point, name, (cell) => read(cell)?.[which]))
    return all.every((one) => one === undefined) ? NONE : all.map((one) => (one ?? NaN).toFixed(2)).join(' / ')
}

function detail(point: Measured): string {
    const { sessions, branches, fsyncMs, rounds, seconds, at, variants } = point
    const rows = variants.map((name) => {
        const number = (read: (cell: Cell) => number | undefined, digits: number): string =>
            middle(point, name, read)?.toFixed(digits) ?? NONE
        return [
            name,
            three(point, name, ({ commit }) => commit),
            three(point, name, ({ whole }) => whole),
            three(point, name, ({ window }) => window),
            number(({ drainMs }) => drainMs, 0),
            ...(['coordinator', 'node servers', 'sidecar', 'client'] as const).map((party) => number(({ cpu }) => cpu[party], 0)),
            number(({ counts }) => counts && Object.values(counts).reduce((sum, { syncs }) => sum + syncs, 0), 1)
        ]
    })
    const head = [
        '',
        'commit ms',
        'whole ms',
        'half-committed ms',
        'settled ms later',
        'coordinator µs',
        'nodes µs',
        'sidecar µs',
        'client µs',
        'fsyncs'
    ]
    const added = fsyncMs > 0 ? `, ${fsyncMs} ms added to each fsync` : ''
    return `### ${sessions} session${sessions === 1 ? '' : 's'}, ${branches} branch${branches === 1 ? '' : 'es'}${added}\n\n${table(head, rows)}\n\n${rounds} rounds of ${seconds} s, ${at.slice(0, 16).replace('T', ' ')} UTC.\n`
}

function breakdown(found: readonly Breakdown[]): string {
    if (found.length === 0) return ''
    const columns = found.map(figures)
    const rows = columns[0]!.map(([label], n) => [label, ...columns.map((column) => column[n]![1])])
    const { sessions, branches } = found[0]!
    return `## Breakdown of one set

Per transfer, ${sessions} sessions, ${branches} branches, in rounds of their own with \`track_functions = all\` and \`pg_stat_statements.track = all\`, which cost something
too: the CPU is higher here than above. Messages in are receives on sockets of the servers' processes: for a node that is its round
trips, for the coordinator those of programs and sidecar and the answers that its dblink connections got.

${table(['', ...found.map(({ variant }) => variant)], rows)}

${found.map(tables).join('\n\n')}
`
}

function machine({ points, breakdowns }: Results): string {
    const commands = [...new Set(points.map(({ command }) => command))]
    const latest = [...points].sort((a, b) => a.at.localeCompare(b.at)).at(-1)
    if (!latest) return breakdowns.length > 0 ? 'No point was measured.' : ''
    const { cores, cpu, memoryGb, kernel, postgres, node, fsyncMs } = latest.machine
    const syncs = points.map((point) => point.machine.fsyncMs)
    const range = syncs.length > 1 ? ` (${Math.min(...syncs).toFixed(2)} to ${Math.max(...syncs).toFixed(2)} between the points)` : ''
    return `${commands.map((command) => `    ${command}`).join('\n')}

One machine for everything: ${cores} processors (${cpu}), ${memoryGb} GB, Linux ${kernel}, PostgreSQL ${postgres}, Node.js ${node}; a write of 8 KB with
fdatasync takes ${fsyncMs.toFixed(2)} ms${range}. A server for the coordinator and two for the nodes (${SETTINGS_TEXT}); with 4 and 8
branches the nodes are databases on those two. The sidecar runs with its defaults.`
}

const judged = (met: boolean | undefined): string => (met === undefined ? NONE : met ? 'met' : '**missed**')

export function markdown(results: Results): string {
    const { points, breakdowns } = results
    const narrow = points.filter(({ branches, fsyncMs }) => branches === 2 && fsyncMs === 0)
    const sessionsOf = ({ sessions }: Measured): string => `${sessions} session${sessions === 1 ? '' : 's'}`
    const slow = [...new Set(points.map(({ fsyncMs }) => fsyncMs))].filter((ms) => ms > 0)
    const wide = points.filter(({ sessions, fsyncMs }) => sessions === 8 && fsyncMs === 0)
    return `# How fast: moving money between databases

${machine(results)}

A transfer changes one row on each branch's node. The variants take turns within each round; a ratio is that of two cells of the same round. Shown
are medians of the rounds, and in parentheses the least and the most. A rate counts transfers until every branch of
them was committed, not only until they were answered. After each cell the sums of all accounts were what the answered transfers make them.

![](bench.svg)

## Targets

${table(
    ['target', 'where', 'variant', 'measured', ''],
    verdicts(points).map(({ target, at, variant, measured, met }) => [target, at, variant, measured, judged(met)])
)}

## What is compared

${table(
    ['variant', 'what it is', 'survives a crash'],
    measuredHere(points).map((name) => {
        const { title, safe } = VARIANTS.find((one) => one.name === name)!
        return [name, title, safe ? 'yes' : '**no**']
    })
)}

${grid('Throughput, two branches', narrow, sessionsOf)}
${slow
    .map((ms) =>
        grid(
            `Throughput with ${ms} ms added to each fsync, two branches`,
            points.filter(({ branches, fsyncMs }) => branches === 2 && fsyncMs === ms),
            sessionsOf
        )
    )
    .join('\n')}
${wide.length > 1 ? grid('Throughput by branches, 8 sessions', wide, ({ branches }) => `${branches} branch${branches === 1 ? '' : 'es'}`) : ''}
## Latency, half-committed window, CPU

p50 / p95 / p99. *commit*: from the last answered work until the program may tell its user (with *await*: until it returned; a variant that
sends all at once has no other moment than its start). *half-committed*: from the local commit, the decision, until the last branch's commit, by the servers' own
commit times. *settled*: after the last answer, until no branch was prepared anywhere. CPU and fsyncs are per transfer, of all servers and the sidecar.

${points.map(detail).join('\n')}
${breakdown(breakdowns)}`
}
