/** What to measure: the default grids, or what the environment asks for. */
import { number, flag } from '../chaos/harness'
import { VARIANTS } from './variants'
import { FLOOR } from './variants/variant'

/** All variants are measured at a point in turns, A B C A B C …: what is compared was measured together. */
export interface Point {
    readonly sessions: number
    readonly branches: number
    /** Added to every fsync. */
    readonly fsyncMs: number
    readonly variants: readonly string[]
}

export interface Options {
    readonly points: readonly Point[]
    readonly rounds: number
    readonly seconds: number
    readonly warmupSeconds: number
    readonly clients: number
    /** Points of the report before that are not measured now stay in it. */
    readonly keep: boolean
    /** Directory of the report. */
    readonly report: string
    readonly breakdown: boolean
    /** Directory for a CPU profile of the sidecar. */
    readonly profile?: string
    /** As typed, for the report. */
    readonly command: string
}

const BRANCHED = ['hand-rolled', 'exec', 'exec-script', 'enlist']
const SLOW = [
    'hand-rolled',
    'hand-rolled-no-wait',
    'postgres_fdw',
    'dblink-2pc',
    'exec',
    'exec-script',
    'exec-await',
    'enlist',
    'enlist-await'
]

const all = VARIANTS.map(({ name }) => name)

const grid = (sessions: readonly number[], branches: readonly number[], fsyncMs: number, variants: readonly string[]): Point[] =>
    sessions.flatMap((s) => branches.map((b) => ({ sessions: s, branches: b, fsyncMs, variants })))

export const GRIDS: Readonly<Record<string, readonly Point[]>> = {
    main: grid([1, 8, 32, 128], [2], 0, all),
    branches: grid([8], [1, 4, 8], 0, BRANCHED),
    slow: grid([1, 8, 32], [2], 1, SLOW)
}

const NAMES = [
    'GRIDS',
    'VARIANTS',
    'SESSIONS',
    'BRANCHES',
    'FSYNC_MS',
    'ROUNDS',
    'SECONDS',
    'CLIENTS',
    'KEEP',
    'BREAKDOWN',
    'PROFILE'
] as const

const words = (name: string): string[] => (process.env[name] ?? '').split(/[\s,]+/).filter((word) => word !== '')

function numbers(name: string, fallback: readonly number[], least: number, most: number): readonly number[] {
    const given = words(name).map(Number)
    if (given.some((n) => !(n >= least && n <= most)))
        throw new Error(`${name} is "${process.env[name]}": give numbers from ${least} to ${most}`)
    return given.length > 0 ? given : fallback
}

/** The floor is always among them: everything is told as a ratio to it. */
function variants(fallback: readonly string[]): readonly string[] {
    const given = words('VARIANTS')
    const unknown = given.filter((name) => !all.includes(name))
    if (unknown.length > 0) throw new Error(`no such variant: ${unknown.join(', ')}; there are: ${all.join(', ')}`)
    return given.length === 0 ? fallback : all.filter((name) => name === FLOOR || given.includes(name))
}

function points(): readonly Point[] {
    const named = words('GRIDS')
    const unknown = named.filter((name) => !(name in GRIDS) && name !== 'none')
    if (unknown.length > 0) throw new Error(`no such grid: ${unknown.join(', ')}; there are: ${Object.keys(GRIDS).join(', ')}, none`)
    const own = ['SESSIONS', 'BRANCHES', 'FSYNC_MS'].some((name) => words(name).length > 0)
    if (named.length > 0 && own) throw new Error('give GRIDS, or SESSIONS, BRANCHES and FSYNC_MS')
    if (!own)
        return (named.length > 0 ? named : Object.keys(GRIDS))
            .flatMap((name) => GRIDS[name] ?? [])
            .map((p) => ({ ...p, variants: variants(p.variants) }))
    const counts = numbers('BRANCHES', [2], 1, 8).map(Math.floor)
    const delays = numbers('FSYNC_MS', [0], 0, 1000)
    return delays.flatMap((delay) => grid(numbers('SESSIONS', [1, 8, 32, 128], 1, 140).map(Math.floor), counts, delay, variants(all)))
}

export function fromEnvironment(report: string): Options {
    const given = NAMES.filter((name) => process.env[name]).map((name) => `${name}='${process.env[name]}'`)
    const seconds = Number(process.env['SECONDS'] || 2)
    if (!(seconds > 0 && seconds <= 600)) throw new Error(`SECONDS is "${process.env['SECONDS']}": give a number above 0, at most 600`)
    return {
        points: points(),
        rounds: number('ROUNDS', 7),
        seconds,
        warmupSeconds: 0.3,
        clients: number('CLIENTS', 2),
        keep: flag('KEEP'),
        report: process.env['REPORT'] || report,
        breakdown: process.env['BREAKDOWN'] === undefined || process.env['BREAKDOWN'] === '' || flag('BREAKDOWN'),
        ...(process.env['PROFILE'] && { profile: process.env['PROFILE'] }),
        command: ['make bench', ...given].join(' ')
    }
}
