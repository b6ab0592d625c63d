/**
 * What "does not grow" means, as rules. The first quarter of a run is its warm-up (caches fill, the first records reach the
 * end of their retention), so growth is looked for in the other three: the last quarter against the second, or the slope of a
 * straight line through all three.
 */
import { mean, median, quarters, slope } from '../stats'
import type { Sample } from './sample'

export interface Finding {
    readonly what: string
    readonly rule: string
    readonly measured: string
    readonly ok: boolean
}

const MB = 1024 * 1024
const SEGMENT_LIMIT = 4 * MB // --segment-bytes
/** While one file replaces another both are there. */
const STATE_LIMIT = 2 * SEGMENT_LIMIT + 64 * 1024
const MEMORY_SHARE = 0.1
const TABLE_SHARE = 1.25
const LATENCY_SHARE = 1.25

export function judge(samples: readonly Sample[], missing: number, leftPrepared: number): readonly Finding[] {
    const [, second, , last] = quarters(samples) as [Sample[], Sample[], Sample[], Sample[]]
    const warm = samples.filter(({ at }) => at >= (samples.at(-1)?.at ?? 0) / 4)
    return [
        flat('resident memory of the sidecar', warm, (sample) => sample.rss),
        heap(warm),
        flat("memory of the sessions' backends", warm, (sample) => sample.backend),
        {
            what: 'state directory',
            rule: `never more than two state files of ${SEGMENT_LIMIT / MB} MB`,
            measured: `${(Math.max(...samples.map((one) => one.stateBytes)) / MB).toFixed(2)} MB at most`,
            ok: samples.every((one) => one.stateBytes <= STATE_LIMIT)
        },
        ratio(
            'tables of schema pglobalxact, with indexes',
            TABLE_SHARE,
            mean(second.map(tableBytes)),
            mean(last.map(tableBytes)),
            MB,
            'MB'
        ),
        ratio('dead rows in them, at most', 2, most(second, deadRows), most(last, deadRows), 1, 'rows'),
        latency(second, last),
        {
            what: 'sessions on all servers',
            rule: 'no more than one more in the last quarter than in the second',
            measured: `${most(second, (one) => one.sessions)} → ${most(last, (one) => one.sessions)}`,
            ok: most(last, (one) => one.sessions) <= most(second, (one) => one.sessions) + 1
        },
        exact(
            'sets that failed',
            samples.reduce((sum, one) => sum + one.errors, 0)
        ),
        exact('money missing at the end', missing),
        exact('prepared transactions at the end', leftPrepared)
    ]
}

/** Of samples after the warm-up. */
export const heap = (warm: readonly Sample[]): Finding => flat('JavaScript heap of the sidecar', floors(warm), (sample) => sample.heap)

export const tableBytes = (sample: Sample): number => sample.tables.reduce((sum, table) => sum + table.bytes, 0)
export const deadRows = (sample: Sample): number => sample.tables.reduce((sum, table) => sum + table.dead, 0)

const most = (samples: readonly Sample[], of: (sample: Sample) => number): number => Math.max(0, ...samples.map(of))

/** Between two collections a heap grows: what counts is what it comes down to, here within each full thirty samples. */
function floors(samples: readonly Sample[]): readonly Sample[] {
    const found: Sample[] = []
    // A last group of a few samples has no floor: it would be any height between two collections.
    for (let from = 0; from + Math.min(30, samples.length) <= samples.length; from += 30) {
        const some = samples.slice(from, from + 30)
        found.push(some.reduce((least, one) => (one.heap < least.heap ? one : least)))
    }
    return found
}

function flat(what: string, samples: readonly Sample[], of: (sample: Sample) => number): Finding {
    const span = (samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0)
    const gain = slope(samples.map((sample) => [sample.at, of(sample)])) * span
    const level = mean(samples.map(of))
    return {
        what,
        rule: `a straight line through it gains no more than ${MEMORY_SHARE * 100} % in three quarters of the run`,
        measured: `${(level / MB).toFixed(1)} MB, gain ${((gain / level) * 100).toFixed(1)} %`,
        ok: gain <= MEMORY_SHARE * level
    }
}

function ratio(what: string, share: number, before: number, after: number, unit: number, name: string): Finding {
    return {
        what,
        rule: `in the last quarter no more than ${share} times the second`,
        measured: `${(before / unit).toFixed(unit === 1 ? 0 : 2)} → ${(after / unit).toFixed(unit === 1 ? 0 : 2)} ${name}`,
        ok: after <= share * before + (unit === 1 ? 1000 : 0)
    }
}

/** A shared machine is not equally busy all the time: a local COMMIT at the same moment tells how busy it was. */
function latency(second: readonly Sample[], last: readonly Sample[]): Finding {
    const of = (samples: readonly Sample[]) => ({
        set: median(samples.map((one) => one.p50)) ?? 0,
        control: median(samples.map((one) => one.control).filter((one) => one > 0)) ?? 0
    })
    const [before, after] = [of(second), of(last)]
    const growth = after.set / before.set
    const machine = after.control / before.control
    return {
        what: 'median time of a COMMIT of a set',
        rule: `in the last quarter no more than ${LATENCY_SHARE} times the second, or no more than ${LATENCY_SHARE} times as much as a local COMMIT has slowed down`,
        measured: `${before.set.toFixed(2)} → ${after.set.toFixed(2)} ms (a local COMMIT: ${before.control.toFixed(2)} → ${after.control.toFixed(2)} ms)`,
        ok: growth <= LATENCY_SHARE || growth <= LATENCY_SHARE * machine
    }
}

const exact = (what: string, found: number): Finding => ({ what, rule: 'none', measured: String(found), ok: found === 0 })
