/** The protocol, checked in every state it can come to; and each protection, taken out, must be missed. */
import { expect } from 'chai'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LIMITS, PROTECTIONS, RUNS, type Protection, type Run } from './protections'
import { check, installed, type Verdict } from './spin'

const MODELS = [...new Set(RUNS.map((run) => run.model))]

describe('the model of the protocol', function () {
    this.timeout(1_200_000)
    this.slow(600_000)

    const title = (run: Run): string => [`${run.model}.pml`, ...run.with, run.checks].join(' ')

    function tell(run: Run, { states, depth, seconds }: Verdict): void {
        console.log(`      ${title(run)}: ${states} states, depth ${depth}, ${seconds.toFixed(1)} s`)
    }

    before(function () {
        if (installed()) return
        console.log('      SKIPPED: spin or gcc is not installed, so nothing is proved here. Run: apt-get install spin gcc')
        this.skip()
    })

    for (const run of RUNS) {
        it(`holds: ${title(run)}`, async () => {
            const verdict = await check(run, true)
            tell(run, verdict)
            expect(verdict.errors, `${verdict.complaint}\n${verdict.trail}`).to.equal(0)
            if (run.checks === 'safety') expect(verdict.unreached).to.deep.equal([])
        })
    }

    async function bites(protection: Protection): Promise<void> {
        const run: Run = {
            model: protection.model,
            with: [...(protection.with ?? []), protection.macro],
            checks: protection.checks ?? 'safety'
        }
        const verdict = await check(run, false)
        tell(run, verdict)
        expect(verdict.errors, 'errors found').to.equal(1)
        expect(verdict.complaint, verdict.trail).to.contain(protection.finds)
    }

    for (const one of PROTECTIONS) it(`misses, in ${one.model}.pml without ${one.macro}: ${one.protects}`, () => bites(one))
    for (const one of LIMITS) it(`has a limit, ${one.macro}: ${one.protects}`, () => bites(one))

    it('has no protection that is not in the table, and none in the table that is not in a model', () => {
        for (const model of MODELS) {
            const text = readFileSync(join(__dirname, `${model}.pml`), 'utf8')
            const macros = new Set([...text.matchAll(/^#(?:ifdef|ifndef|elif defined\() *(\w+)/gm)].map((found) => found[1]))
            for (const size of ['N', 'SESSIONS', 'LIVE']) macros.delete(size)
            const table = [...PROTECTIONS, ...LIMITS].filter((one) => one.model === model).map((one) => one.macro)
            expect([...macros], model).to.have.members(table)
        }
    })

    it('names code that is there', () => {
        for (const { where } of [...PROTECTIONS, ...LIMITS]) {
            for (const [path] of where.matchAll(/(?:sql|sidecar)\/[\w/]+\.(?:sql|ts)/g)) readFileSync(join(__dirname, '../..', path))
        }
    })
})
