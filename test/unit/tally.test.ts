import { expect } from 'chai'
import { Tally } from '../../sidecar/tally'
import { Scraped } from '../sidecar/scraped'

describe('what is counted', () => {
    const told = async (tally: Tally): Promise<Scraped> => new Scraped(await tally.registry.metrics())

    it('has a class for every error, and no more classes than PostgreSQL has, whatever a node sends', async () => {
        const tally = new Tally()
        for (const sqlstate of ['42501', '42704', '53200', undefined, 'ZZ000', '99999', 'QQ123']) tally.retried('b', sqlstate)
        const all = (await told(tally)).samples.filter(({ name }) => name === 'pglobalxact_branch_retries_total')
        expect(all.map(({ labels, value }) => [labels['class'], value])).to.have.deep.members([
            ['42', 2],
            ['53', 1],
            ['network', 1],
            ['other', 3]
        ])
    })

    it('survives any name of a node, in a line of its own', async () => {
        const tally = new Tally()
        const names = ['Köln "west"', 'back\\slash', 'two\nlines', "o'hara"]
        for (const name of names) tally.finished(name, 'committed')
        const found = (await told(tally)).samples.filter(({ name }) => name === 'pglobalxact_branches_finished_total')
        expect(found.length).to.equal(names.length)
        expect(found.map(({ labels }) => labels['node'])).to.deep.equal(['Köln \\"west\\"', 'back\\\\slash', 'two\\nlines', "o'hara"])
    })

    it('takes times in milliseconds and tells seconds, of a clock set back too', async () => {
        const tally = new Tally()
        tally.halfCommitted(1500)
        tally.halfCommitted(-3)
        tally.synced(2, 7)
        const scraped = await told(tally)
        expect(scraped.value('pglobalxact_half_committed_seconds_sum')).to.equal(1.5)
        expect(scraped.value('pglobalxact_half_committed_seconds_count')).to.equal(2)
        expect(scraped.value('pglobalxact_state_sync_seconds_sum')).to.equal(0.002)
        expect(scraped.value('pglobalxact_state_sync_lines_sum')).to.equal(7)
    })
})
