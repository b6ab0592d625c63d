/** The report: bench.json has everything that was measured, bench.md says it to people, bench.svg shows it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Options } from './options'
import { samePoint, type Measured } from './result'

export const REPORTS = resolve(__dirname, '..', 'reports')

/** Written anew after each point: a run that is interrupted leaves what it measured. */
export class Report {
    private points: readonly Measured[]

    constructor(private readonly options: Options) {
        this.points = options.keep ? earlier(join(options.report, 'bench.json')) : []
    }

    get path(): string {
        return join(this.options.report, 'bench.md')
    }

    add(measured: Measured): void {
        this.points = [...this.points.filter((point) => !samePoint(point, measured)), measured].sort(
            (a, b) => a.fsyncMs - b.fsyncMs || a.branches - b.branches || a.sessions - b.sessions
        )
        mkdirSync(this.options.report, { recursive: true })
        writeFileSync(join(this.options.report, 'bench.json'), `${JSON.stringify({ points: this.points })}\n`)
    }
}

function earlier(path: string): readonly Measured[] {
    try {
        return (JSON.parse(readFileSync(path, 'utf8')) as { points: readonly Measured[] }).points
    } catch {
        return []
    }
}
