/** The report: bench.json has everything that was measured, bench.md says it to people, bench.svg shows it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Breakdown } from './breakdown'
import { markdown, type Results } from './markdown'
import type { Options } from './options'
import { plot, type Panel } from './plot'
import { ratio, samePoint, type Measured } from './result'
import { VARIANTS } from './variants'

export const REPORTS = resolve(__dirname, '..', 'reports')

/** Written anew after each point: a run that is interrupted leaves what it measured. */
export class Report {
    private results: Results

    constructor(private readonly options: Options) {
        this.results = options.keep ? earlier(join(options.report, 'bench.json')) : { points: [], breakdowns: [] }
    }

    get path(): string {
        return join(this.options.report, 'bench.md')
    }

    add(measured: Measured): void {
        const others = this.results.points.filter((point) => !samePoint(point, measured))
        const points = [...others, measured].sort((a, b) => a.fsyncMs - b.fsyncMs || a.branches - b.branches || a.sessions - b.sessions)
        this.write({ ...this.results, points })
    }

    addBreakdown(found: Breakdown): void {
        const others = this.results.breakdowns.filter(({ variant }) => variant !== found.variant)
        this.write({ ...this.results, breakdowns: [...others, found] })
    }

    private write(results: Results): void {
        this.results = results
        mkdirSync(this.options.report, { recursive: true })
        const put = (name: string, text: string): void => writeFileSync(join(this.options.report, name), text)
        put(
            'bench.json',
            `${JSON.stringify(results, (_, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(6)) : value))}\n`
        )
        put('bench.md', markdown(results))
        put('bench.svg', plot(panels(results.points), names))
    }
}

function earlier(path: string): Results {
    try {
        return JSON.parse(readFileSync(path, 'utf8')) as Results
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { points: [], breakdowns: [] }
        throw error
    }
}

const names = VARIANTS.map(({ name }) => name)

function panel(title: string, unit: string, points: readonly Measured[], x: (point: Measured) => number): Panel | undefined {
    const lines = names.flatMap((name) => {
        const found = points.flatMap((point) => {
            const value = ratio(point, name)
            return value ? [[String(x(point)), value] as const] : []
        })
        return found.length > 0 ? [{ name, points: found }] : []
    })
    return lines.length > 0 ? { title: `${title}: throughput, as a ratio to hand-rolled 2PC`, unit, lines } : undefined
}

function panels(points: readonly Measured[]): readonly Panel[] {
    const two = points.filter(({ branches }) => branches === 2)
    const delays = [...new Set(points.map(({ fsyncMs }) => fsyncMs))].sort((a, b) => a - b)
    const bySessions = delays.map((ms) =>
        panel(
            ms === 0 ? 'Two branches' : `Two branches, ${ms} ms added to each fsync`,
            'sessions',
            two.filter(({ fsyncMs }) => fsyncMs === ms),
            ({ sessions }) => sessions
        )
    )
    const wide = points.filter(({ sessions, fsyncMs }) => sessions === 8 && fsyncMs === 0)
    const byBranches = wide.length > 1 ? [panel('8 sessions', 'branches', wide, ({ branches }) => branches)] : []
    return [...bySessions, ...byBranches].flatMap((one) => one ?? [])
}
