/**
 * make bench-scale ITEMS='recovery nodes': how recovery, reads, nodes and idling scale, and how long a deadlock stands. Writes its report to test/reports; ends with the
 * number of targets that were missed, and succeeds in any case: what was measured on this machine is a figure, no test.
 */
import { number, tearDown } from '../../chaos/harness'
import type { Part } from './figures'
import { measureDeadlocks } from './deadlocks'
import { measureIdle } from './idle'
import { measureNodes } from './nodes'
import { measureRecovery } from './recovery'
import { measureReplay } from './replay'
import { measureReads } from './reads'
import { measureRetained } from './retained'
import { keep, missed } from './report'

const ROUNDS = number('ROUNDS', 5)

const ITEMS: Readonly<Record<string, () => Promise<Part>>> = {
    recovery: () => measureRecovery({ sets: number('SETS', 10_000), rounds: ROUNDS }),
    replay: () => measureReplay({ lines: number('LINES', 100_000), rounds: ROUNDS }),
    reads: () => measureReads({ sets: number('SETS', 10_000), rounds: ROUNDS }),
    retained: () => measureRetained({ records: number('RECORDS', 1_000_000), rounds: 3, seconds: number('SECONDS', 3) }),
    nodes: () => measureNodes({ steps: [10, 50, 100], seconds: number('SECONDS', 20) }),
    idle: () => measureIdle({ rounds: 2, seconds: number('SECONDS', 30) }),
    deadlocks: () => measureDeadlocks({ deadlocks: number('DEADLOCKS', 20) })
}

async function main(): Promise<number> {
    const order = Object.keys(ITEMS)
    const wanted = (process.env['ITEMS'] ?? '').split(/[ ,]+/).filter((item) => item !== '')
    const parts: Part[] = []
    for (const item of wanted.length > 0 ? wanted : order) {
        const measure = ITEMS[item]
        if (measure === undefined) throw new Error(`ITEMS names "${item}": there are ${order.join(', ')}`)
        parts.push(await measure())
        for (const { what, measured, target, met } of parts.at(-1)!.figures)
            console.log(
                `${met === undefined ? '      ' : met ? 'met   ' : 'MISSED'}  ${what}: ${measured}${target === undefined ? '' : `; target: ${target}`}`
            )
        console.log(`report: ${keep(parts, order)}`)
    }
    console.log(`${missed(parts)} targets missed`)
    return 0
}

void tearDown(main)
