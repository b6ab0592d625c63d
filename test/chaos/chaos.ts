/**
 * make chaos SECONDS=60 SEED=7: sessions that run sets while everything around them fails, and then whether every server tells
 * the same. Without SEED a fresh one; PLAN=1 prints what would be done. Ends with "N passed, N failed" and a status that says
 * the same.
 */
import { randomInt } from 'node:crypto'
import { flag, number, tearDown } from './harness'
import { makePlan, printPlan } from './plan'
import { list, table } from './report'
import { run } from './run'

const SECONDS = number('SECONDS', 60)
const SEED = number('SEED', randomInt(1, 2 ** 32))

async function main(): Promise<number> {
    const plan = makePlan(SEED, SECONDS)
    console.log(`make chaos SECONDS=${SECONDS} SEED=${SEED}`)
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
    console.log(`again: make chaos SECONDS=${SECONDS} SEED=${SEED}`)
    const failed = result.violations.length > 0 ? 1 : 0
    console.log(`${1 - failed} passed, ${failed} failed`)
    return result.violations.length
}

void tearDown(main)
