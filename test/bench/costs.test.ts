import { expect } from 'chai'
import { abortTimes, measureCosts, REFUSED, withFeature } from './costs/costs'
import { FEATURES, PLAIN } from './costs/features'
import { markdown } from './costs/report'
import { Ground } from './ground'

// Sums, and that every set is complete, are checked by each cell.
describe('the measurement of costs', () => {
    it('switches each part on under load and off again, and tells what commits were held for', async function () {
        this.timeout(300_000)
        const options = { sessions: 2, rounds: 1, seconds: 0.3, idleSeconds: 0.1, aborts: 1 }
        const ground = await Ground.create({ more: { wal_level: 'logical' } })
        try {
            await ground.widen(2)
            await ground.control.query(REFUSED)
            const rounds = await measureCosts(ground, ground, options, () => undefined)
            const aborts = await withFeature(
                ground,
                FEATURES.find(({ name }) => name === 'watched')!,
                () => abortTimes(ground, 2)
            )
            expect(rounds[0]!.map(({ feature }) => feature)).to.deep.equal([PLAIN, ...FEATURES].map(({ name }) => name))
            for (const { feature, cell, held } of rounds[0]!) {
                expect(cell.transfers, feature).to.be.at.least(1)
                expect(held.length > 0, feature).to.equal(['snapshots', 'points'].includes(feature))
            }
            expect(aborts).to.have.lengthOf(2)
            const text = markdown({ options, rounds, aborts: { off: aborts, watched: aborts } })
            for (const { title } of FEATURES) expect(text).to.include(`| ${title} |`)
            expect(text).not.to.match(/NaN|undefined/)
        } finally {
            await ground.destroy()
        }
    })
})
