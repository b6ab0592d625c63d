/** How long it took, case by case, for report.ts to sum up. */
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { AT_DEFAULTS } from '../../support/world'
import type { Case } from './cases'

export interface Figure {
    readonly point: string
    readonly dead: readonly string[]
    /** server_version_num. */
    readonly server: number
    /** Milliseconds from the deaths until all servers agree and no branch is prepared. */
    readonly sinceCrash: number
    /** The same from the moment when all that died was started again. */
    readonly sinceBack: number
}

/** Without it nothing is written. */
const directory = process.env['PGLOBALXACT_TEST_FIGURES']

/** Figures for publication are those of a sidecar as people run it; otherwise it looks more often, and the tests are shorter. */
export const sidecarArguments = (): readonly string[] => (directory ? AT_DEFAULTS : [])

/** Several cases at a time would take each other's time. */
export const lanes = (usual: number): number => (directory ? 1 : usual)

interface Instants {
    readonly crashed: number
    readonly back: number
    readonly agreed: number
}

export function keep({ point, dead }: Case, server: number, at: Instants): void {
    if (!directory) return
    mkdirSync(directory, { recursive: true })
    const figure: Figure = { point: point.when, dead, server, sinceCrash: at.agreed - at.crashed, sinceBack: at.agreed - at.back }
    appendFileSync(join(directory, 'crash-matrix.jsonl'), `${JSON.stringify(figure)}\n`)
}
