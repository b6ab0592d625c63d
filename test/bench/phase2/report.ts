/** What was found, as Markdown and JSON in test/reports when REPORT=1, and on the screen. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join, resolve } from 'node:path'
import { flag } from '../../chaos/harness'
import { median, percentile } from '../../chaos/stats'
import type { Spent } from './cpu'
import { BELLS, type Round } from './doorbell'
import { SETS } from './ground'

const REPORTS = resolve(__dirname, '..', '..', 'reports')

export interface Found {
    readonly bells: readonly Round[]
    /** Milliseconds. */
    readonly idle: readonly number[]
    /** COMMIT PREPAREDs per second over both nodes, round by round. */
    readonly rates: readonly { readonly sidecar: number; readonly four: number; readonly sixteen: number }[]
    /** Milliseconds, of each set of each round. */
    readonly windows: readonly (readonly number[])[]
    /** Microseconds per set, and sets per second. */
    readonly costs: readonly (Spent & { readonly rate: number })[]
}

interface Target {
    readonly what: string
    readonly wanted: string
    readonly got: string
    readonly met: boolean
}

/** 0 when every target is met. */
export function report(found: Found): number {
    const parts = [bellsPart(found), idlePart(found), ratePart(found), windowPart(found), cpuPart(found)].filter(
        (part) => part !== undefined
    )
    const targets = parts.flatMap(({ targets }) => targets)
    const rows = targets.map(({ what, wanted, got, met }) => `| ${what} | ${wanted} | ${got} | ${met ? 'met' : '**missed**'} |`)
    const text = [
        '# Doorbell and phase two',
        '    make bench-phase2 REPORT=1',
        `${cpus().length} cores; a coordinator and two nodes on one host; sets of two branches, one row changed on each server. What is compared takes turns in one run; a figure is the median of its rounds (least to most).`,
        ['| what | target | measured | |', '|---|---|---|---|', ...rows].join('\n'),
        ...parts.map(({ text }) => text)
    ].join('\n\n')
    console.log(text)
    if (flag('REPORT')) {
        mkdirSync(REPORTS, { recursive: true })
        writeFileSync(join(REPORTS, 'phase2.md'), `${text}\n`)
        writeFileSync(join(REPORTS, 'phase2.json'), `${JSON.stringify({ ...found, windows: found.windows.map(digest) })}\n`)
    }
    const missed = targets.filter(({ met }) => !met).length
    console.log(`\n${targets.length - missed} passed, ${missed} failed`)
    return missed
}

type Part = { readonly targets: readonly Target[]; readonly text: string } | undefined

const spread = (values: readonly number[], digits = 0): string =>
    `${median(values)!.toFixed(digits)} (${Math.min(...values).toFixed(digits)} to ${Math.max(...values).toFixed(digits)})`

const digest = (values: readonly number[]): Record<string, number> => ({
    sets: values.length,
    p50: percentile(values, 0.5) ?? 0,
    p95: percentile(values, 0.95) ?? 0,
    p99: percentile(values, 0.99) ?? 0,
    most: values.reduce((a, b) => Math.max(a, b), 0)
})

function bellsPart({ bells }: Found): Part {
    if (bells.length === 0) return undefined
    const rows: string[] = []
    const targets: Target[] = []
    for (const way of ['exec', 'enlist'] as const) {
        const of = (bell: (typeof BELLS)[number]): number[] =>
            bells.filter((one) => one.way === way && one.bell === bell).map(({ rate }) => rate)
        const never = of('never')
        // Round by round: what the machine did meanwhile, it did to both.
        const lost = (bell: (typeof BELLS)[number]): number[] => of(bell).map((rate, round) => (1 - rate / never[round]!) * 100)
        for (const bell of BELLS) rows.push(`| ${way} | ${bell} | ${spread(of(bell))} | ${bell === 'never' ? '' : spread(lost(bell), 1)} |`)
        const cost = median(lost('as shipped'))!
        targets.push({
            what: `${way}, 32 sessions: throughput the doorbell costs`,
            wanted: '< 3 %',
            got: `${cost.toFixed(1)} %`,
            met: cost < 3
        })
    }
    const text = [
        '## The doorbell',
        '| sets by | doorbell rung | sets/s at 32 sessions | % lost against never, round by round |\n|---|---|---|---|\n' + rows.join('\n')
    ]
    return { targets, text: text.join('\n\n') }
}

function idlePart({ idle }: Found): Part {
    if (idle.length === 0) return undefined
    const { p50, p95, p99 } = digest(idle)
    const target = {
        what: 'idle sidecar: local commit to branches committed, p50',
        wanted: '< 2 ms',
        got: `${p50!.toFixed(2)} ms`,
        met: p50! < 2
    }
    return {
        targets: [target],
        text: `## Idle\n\nOne set at a time, the sidecar asleep before each (${idle.length} sets): from the local commit to the last branch *committed*, which is later than its COMMIT PREPARED sent: p50 ${p50!.toFixed(2)} ms, p95 ${p95!.toFixed(2)} ms, p99 ${p99!.toFixed(2)} ms, by the servers' own commit times.`
    }
}

function ratePart({ rates }: Found): Part {
    if (rates.length === 0) return undefined
    const best = rates.map(({ four, sixteen }) => Math.max(four, sixteen))
    const share = rates.map(({ sidecar }, round) => (sidecar / best[round]!) * 100)
    const met = median(share)! >= 80
    const rows = [
        ['bare loop, 4 connections per node', rates.map(({ four }) => four)],
        ['bare loop, 16 connections per node', rates.map(({ sixteen }) => sixteen)],
        ['sidecar, from being let go to the last branch committed', rates.map(({ sidecar }) => sidecar)]
    ].map(([what, values]) => `| ${String(what)} | ${spread(values as number[])} |`)
    return {
        targets: [{ what: 'phase two of waiting sets, against the better bare loop', wanted: '≥ 80 %', got: `${spread(share)} %`, met }],
        text: `## Rate\n\n${SETS} sets decided while the sidecar stood still; the bare loop commits as many prepared transactions that it only has to name.\n\n| what | COMMIT PREPARED/s, both nodes |\n|---|---|\n${rows.join('\n')}`
    }
}

function windowPart({ windows }: Found): Part {
    if (windows.length === 0) return undefined
    const digests = windows.map(digest)
    const [p50, p95, p99] = (['p50', 'p95', 'p99'] as const).map((name) => digests.map((one) => one[name]!))
    const text = `## Half-committed window\n\n8 sessions of \`exec\`, by the servers' own commit times, ms: p50 ${spread(p50!, 2)}, p95 ${spread(p95!, 2)}, p99 ${spread(p99!, 2)}; ${digests.reduce((sum, { sets }) => sum + sets!, 0)} sets.`
    const targets = [
        { what: 'half-committed window at 8 sessions, p50', wanted: '< 2 ms', got: `${spread(p50!, 2)} ms`, met: median(p50!)! < 2 },
        { what: 'half-committed window at 8 sessions, p99', wanted: '< 10 ms', got: `${spread(p99!, 2)} ms`, met: median(p99!)! < 10 }
    ]
    return { targets, text }
}

function cpuPart({ costs }: Found): Part {
    if (costs.length === 0) return undefined
    const rows = (
        [
            ['sidecar', 'sidecar'],
            ['its sessions on the coordinator', 'coordinator'],
            ['its sessions on the nodes, COMMIT PREPARED', 'nodes']
        ] as const
    ).map(([what, key]) => `| ${what} | ${spread(costs.map((one) => one[key]))} |`)
    const own = median(costs.map(({ sidecar }) => sidecar))!
    return {
        targets: [{ what: 'CPU of the sidecar per set at 32 sessions', wanted: '< 100 µs', got: `${own.toFixed(0)} µs`, met: own < 100 }],
        text: `## Processor time\n\n32 sessions of \`exec\`, ${spread(costs.map(({ rate }) => rate))} sets/s.\n\n| of | µs per set of two branches |\n|---|---|\n${rows.join('\n')}`
    }
}
