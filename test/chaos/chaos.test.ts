/**
 * Short chaos runs, with a fixed seed and with a fresh one, and the proof that they see something: the same with a bug planted.
 * PGLOBALXACT_CHAOS_SECONDS makes the runs longer, PGLOBALXACT_CHAOS_SEED chooses the fresh seed.
 */
import { randomInt } from 'node:crypto'
import { expect } from 'chai'
import { BUGS, plant, uproot } from './bugs'
import { number } from './harness'
import { makePlan, printPlan } from './plan'
import { list, table } from './report'
import { run } from './run'

const SECONDS = number('PGLOBALXACT_CHAOS_SECONDS', 60)
const FIXED = 19870
const FRESH = number('PGLOBALXACT_CHAOS_SEED', randomInt(1, 2 ** 32))
const WITH_BUG = 9 // seconds

describe('chaos', function () {
    this.timeout((SECONDS + 180) * 1000)
    afterEach(uproot)

    it('is planned wholly by its seed', () => {
        expect(printPlan(makePlan(7, 600))).to.equal(printPlan(makePlan(7, 600)))
        expect(printPlan(makePlan(7, 600))).to.not.equal(printPlan(makePlan(8, 600)))
    })

    for (const [which, seed] of [
        ['the fixed seed', FIXED],
        [`the fresh seed ${FRESH}`, FRESH]
    ] as const) {
        it(`with ${which} leaves every server, the history and every client with the same story`, async () => {
            const lines: string[] = []
            const result = await run({ seconds: SECONDS, seed, plan: makePlan(seed, SECONDS), tell: (line) => lines.push(line) })
            console.log(table(result).replace(/^/gm, '    '))
            const again = `again: make chaos SECONDS=${SECONDS} SEED=${seed}`
            expect(result.violations, `${list(result)}\n${lines.join('\n')}\n${again}`).to.deep.equal([])
            expect(result.sets.committed, 'sets that a client was told are committed').to.be.greaterThan(0)
        })
    }

    for (const [name, bug] of Object.entries(BUGS)) {
        it(`finds the bug by which ${bug.what}`, async () => {
            const { plan } = plant(name)
            const result = await run({
                seconds: WITH_BUG,
                seed: FIXED,
                plan: plan.filter(({ at }) => at < WITH_BUG * 1000),
                patience: 5000
            })
            expect(result.violations).to.not.deep.equal([])
        })
    }
})
