/** The report: bench.json has everything that was measured, bench.md says it to people, bench.svg shows it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Breakdown } from './breakdown'
import type { Options } from './options'
import { samePoint, type Measured } from './result'

export const REPORTS = resolve(__dirname, '..', 'reports')

export interface Results {
    points: readonly Measured[]
    breakdowns: readonly Breakdown[]
}

/** Written anew after each point: a run that is interrupted leaves what it measured. */
export class Report {
    private readonly results: Results

    constructor(private readonly options: Options) {
        this.results = options.keep ? earlier(join(options.report, 'bench.json')) : { points: [], breakdowns: [] }
    }

    get path(): string {
        return join(this.options.report, 'bench.md')
    }

    add(measured: Measured): void {
        const { points } = this.results
        this.results.points = [...points.filter((point) => !samePoint(point, measured)), measured].sort(
            (a, b) => a.fsyncMs - b.fsyncMs || a.branches - b.branches || a.sessions - b.sessions
        )
        this.write()
    }

    addBreakdown(found: Breakdown): void {
        this.results.breakdowns = [...this.results.breakdowns.filter(({ variant }) => variant !== found.variant), found]
        this.write()
    }

    private write(): void {
        mkdirSync(this.options.report, { recursive: true })
        writeFileSync(join(this.options.report, 'bench.json'), `${JSON.stringify(this.results)}\n`)
    }
}

function earlier(path: string): Results {
    try {
        return JSON.parse(readFileSync(path, 'utf8')) as Results
    } catch {
        return { points: [], breakdowns: [] }
    }
}
