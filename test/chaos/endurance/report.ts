/** The report: how the run was made, a line per span of time, the verdict. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { arch, cpus, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { mean, median, percentile } from '../stats'
import { plot } from './plot'
import type { Sample } from './sample'
import { deadRows, tableBytes, type Finding } from './verdict'

export const REPORTS = resolve(__dirname, '..', '..', 'reports')

export interface Run {
    readonly seconds: number
    readonly sessions: number
    readonly rate: number
    readonly retention: number
    readonly postgres: string
    readonly samples: readonly Sample[]
    readonly findings: readonly Finding[]
}

const SPANS = 12
const MB = 1024 * 1024

export function write(run: Run): string {
    mkdirSync(REPORTS, { recursive: true })
    const path = join(REPORTS, 'endurance.md')
    writeFileSync(path, markdown(run))
    writeFileSync(join(REPORTS, 'endurance.json'), `${JSON.stringify({ ...run, samples: run.samples.map(brief) })}\n`)
    writeFileSync(join(REPORTS, 'endurance.svg'), plot(seriesOf(run.samples)))
    return path
}

export const passed = ({ findings }: Pick<Run, 'findings'>): boolean => findings.every(({ ok }) => ok)

/** Without the size of each table, and every single window: the Markdown has what matters of them. */
const brief = ({ tables, windows, ...sample }: Sample): Record<string, unknown> => ({
    ...sample,
    tableBytes: tables.reduce((sum, table) => sum + table.bytes, 0),
    halfCommittedP50: median(windows),
    halfCommittedP99: percentile(windows, 0.99)
})

function markdown(run: Run): string {
    const sets = run.samples.reduce((sum, sample) => sum + sample.sets, 0)
    const length = run.seconds >= 120 ? `${Math.round(run.seconds / 60)} minutes` : `${run.seconds} seconds`
    return `# Endurance: ${length} at steady load

    make endurance SECONDS=${run.seconds} RATE=${run.rate}

${run.sessions} sessions ran ${run.rate} sets a second in all, each with a row on the coordinator and one on either of two nodes: ${sets} sets, no faults.
Commit records were kept for ${run.retention} seconds, so that they were purged all the time; everything else stood at its default.

All on one machine: ${cpus().length} processors (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 1024 ** 3)} GB, ${process.platform} ${arch()},
PostgreSQL ${run.postgres} with fsync on, Node.js ${process.versions.node}. Other work may have run beside it: a local COMMIT, measured all the while, tells how
busy it was.

## Verdict: ${passed(run) ? 'nothing grows' : 'something grows'}

| | rule | measured | |
|---|---|---|---|
${run.findings.map((one) => `| ${one.what} | ${one.rule} | ${one.measured} | ${one.ok ? 'holds' : '**broken**'} |`).join('\n')}

## Half-committed window under this load

From the local commit, which is the decision, until the last branch was committed, by the servers' own commit times (one
machine, one clock), of ${run.samples.flatMap(({ windows }) => windows).length} sets: p50 ${half(run, 0.5)} ms, p99 ${half(run, 0.99)} ms, worst ${half(run, 1)} ms.

## In time

![](endurance.svg)

Each line is the span up to that time: means, but the worst of its samples for p99, dead rows and sessions.

| up to | sets | p50 ms | p99 ms | local COMMIT ms | half-committed p50 ms | RSS MB | heap MB | state KB | tables MB | dead rows | backend MB | sessions | prepared | errors |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
${spans(run).join('\n')}

## Tables

${tablesOf(run)}
`
}

const half = ({ samples }: Run, share: number): string =>
    (
        percentile(
            samples.flatMap(({ windows }) => windows),
            share
        ) ?? NaN
    ).toFixed(1)

function spans({ samples }: Run): string[] {
    const end = (samples.at(-1)?.at ?? 0) + 1e-9
    return Array.from({ length: SPANS }, (_, n) => samples.filter(({ at }) => Math.floor((at / end) * SPANS) === n))
        .filter((some) => some.length > 0)
        .map((some) => `| ${row(some).join(' | ')} |`)
}

function row(some: readonly Sample[]): string[] {
    const average = (of: (sample: Sample) => number, unit = 1): string => (mean(some.map(of)) / unit).toFixed(1)
    const worst = (of: (sample: Sample) => number): number => Math.max(...some.map(of))
    const total = (of: (sample: Sample) => number): string => some.reduce((sum, one) => sum + of(one), 0).toString()
    const at = some.at(-1)!.at
    return [
        `${Math.floor(at / 60)}:${String(Math.floor(at % 60)).padStart(2, '0')}`,
        total((one) => one.sets),
        (median(some.map((one) => one.p50)) ?? 0).toFixed(2),
        worst((one) => one.p99).toFixed(1),
        (median(some.map((one) => one.control).filter((one) => one > 0)) ?? 0).toFixed(2),
        (median(some.flatMap((one) => one.windows)) ?? 0).toFixed(1),
        average((one) => one.rss, MB),
        average((one) => one.heap, MB),
        average((one) => one.stateBytes, 1024),
        average(tableBytes, MB),
        worst(deadRows).toString(),
        average((one) => one.backend, MB),
        worst((one) => one.sessions).toString(),
        average((one) => one.prepared),
        total((one) => one.errors)
    ]
}

function tablesOf({ samples }: Run): string {
    const names = [...new Set(samples.flatMap(({ tables }) => tables.map(({ name }) => name)))].sort()
    const quarter = (n: number): readonly Sample[] =>
        samples.slice(Math.floor((samples.length * n) / 4), Math.floor((samples.length * (n + 1)) / 4))
    const size = (some: readonly Sample[], name: string): string =>
        (mean(some.map(({ tables }) => tables.find((table) => table.name === name)?.bytes ?? 0)) / 1024).toFixed(0)
    const dead = (name: string): number => Math.max(...samples.map(({ tables }) => tables.find((table) => table.name === name)?.dead ?? 0))
    const lines = names.map((name) => `| ${name} | ${[0, 1, 2, 3].map((n) => size(quarter(n), name)).join(' | ')} | ${dead(name)} |`)
    return `| table | first quarter, KB | second | third | last | dead rows at most |\n|---|---|---|---|---|---|\n${lines.join('\n')}`
}

function seriesOf(samples: readonly Sample[]) {
    const of = (title: string, unit: string, value: (sample: Sample) => number) => ({
        title,
        unit,
        points: samples.map((sample) => [sample.at / 60, value(sample)] as const)
    })
    return [
        of('resident memory of the sidecar', 'MB', (one) => one.rss / MB),
        of('its heap', 'MB', (one) => one.heap / MB),
        of('state directory', 'KB', (one) => one.stateBytes / 1024),
        of('tables of schema pglobalxact', 'MB', (one) => tableBytes(one) / MB),
        of('COMMIT of a set, median', 'ms', (one) => one.p50),
        of('COMMIT of a local transaction, median', 'ms', (one) => one.control)
    ]
}
