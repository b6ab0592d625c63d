/**
 * make chaos SECONDS=60 SEED=7: sessions that run sets while everything around them fails, and then whether every server tells
 * the same. Without SEED a fresh one; PLAN=1 prints what would be done. Ends with "N passed, N failed" and a status that says
 * the same. REPORT=1 writes test/reports/chaos.md. BUG=name (bugs.ts) runs a copy with that bug, which must not pass.
 */
import { randomInt } from 'node:crypto'
import { plant } from './bugs'
import { flag, number, tearDown } from './harness'
import { makePlan, printPlan } from './plan'
import { list, table, write } from './report'
import { run } from './run'

const SECONDS = number('SECONDS', 60)
const SEED = number('SEED', randomInt(1, 2 ** 32))

async function main(): Promise<number> {
    const bug = process.env['BUG'] ? plant(process.env['BUG']) : undefined
    // With a bug, what brings it out; the seed still makes the load.
    const plan = bug?.plan ?? makePlan(SEED, SECONDS)
    const again = `make chaos SECONDS=${SECONDS} SEED=${SEED}${bug ? ` BUG=${process.env['BUG']}` : ''}`
    console.log(bug ? `${again}\nplanted: ${bug.what}` : again)
    if (flag('PLAN')) {
        console.log(printPlan(plan))
        return 0
    }
    const result = await run({
        seconds: SECONDS,
        seed: SEED,
        plan,
        ...(flag('VERBOSE') ? { tell: (line: string) => console.log(line) } : {})
    })
    console.log(table(result))
    if (result.violations.length > 0) console.log(list(result))
    if (flag('REPORT')) write(result, again)
    console.log(`again: ${again}`)
    const failed = result.violations.length > 0 ? 1 : 0
    console.log(`${1 - failed} passed, ${failed} failed`)
    return result.violations.length
}

void tearDown(main)
