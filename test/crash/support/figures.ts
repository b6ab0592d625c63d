/** How long it took from a failure until everything was consistent again: measured while the tests run, judged by nobody. */
import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

/** Adds a line to a file in the directory that PGLOBALXACT_TEST_FIGURES names; nothing without it. `since` is performance.now()'s. */
export function figure(file: string, kind: string, since: number): void {
    const ms = Math.round(performance.now() - since)
    const directory = process.env['PGLOBALXACT_TEST_FIGURES']
    if (!directory) return
    mkdirSync(directory, { recursive: true })
    appendFileSync(join(directory, `${file}.jsonl`), `${JSON.stringify({ kind, ms })}\n`)
}
