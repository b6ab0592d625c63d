import { expect } from 'chai'
import { Journal } from '../../sidecar/journal'
import { createLog } from '../../sidecar/log'
import type { DatedEntry } from '../../sidecar/records'

/** A coordinator that takes what it is given, or is away. */
function coordinator() {
    const batches: DatedEntry[][] = []
    const state = { away: false }
    return {
        batches,
        state,
        noteEvents: (entries: readonly DatedEntry[]): Promise<void> => {
            if (state.away) return Promise.reject(new Error('terminating connection'))
            batches.push([...entries])
            return Promise.resolve()
        }
    }
}

describe('the journal', () => {
    const silent = createLog(() => undefined)

    it('writes what was noted in its order, with the time of the noting, in batches', async () => {
        const journal = new Journal(silent)
        const there = coordinator()
        for (let i = 1; i <= 2500; i++) journal.note('rolled back by recovery', String(i), { set: `${i}_cafe0123`, node: 1 })
        await journal.flush(there)
        expect(there.batches.map((batch) => batch.length)).to.deep.equal([1000, 1000, 500])
        expect(there.batches.flat().map(({ detail }) => Number(detail))).to.deep.equal(Array.from({ length: 2500 }, (_, i) => i + 1))
        expect(there.batches[0]![0]).to.include({ kind: 'rolled back by recovery', set: '1_cafe0123', node: 1 })
        expect(Date.parse(there.batches[0]![0]!.at)).to.be.closeTo(Date.now(), 60_000)
        await journal.flush(there)
        expect(there.batches).to.have.lengthOf(3)
    })

    it('keeps what cannot be written, and writes each once when the coordinator is back', async () => {
        const journal = new Journal(silent)
        const there = coordinator()
        there.state.away = true
        journal.note('attempt failed', 'disk full')
        await journal.flush(there)
        journal.note('healed', 'committed')
        expect(journal.unwritten).to.equal(2)
        there.state.away = false
        await Promise.all([journal.flush(there), journal.flush(there)])
        expect(there.batches.flat().map(({ kind }) => kind)).to.deep.equal(['attempt failed', 'healed'])
        expect(journal.unwritten).to.equal(0)
    })

    it('is bounded: the oldest entries go, and a line says how many', async () => {
        const journal = new Journal(silent, 100)
        const there = coordinator()
        for (let i = 1; i <= 1000; i++) journal.note('attempt failed', String(i))
        expect(journal.unwritten).to.be.at.most(100)
        await journal.flush(there)
        const written = there.batches.flat()
        const lost = written.at(-1)!
        expect(lost.kind).to.equal('history lost')
        expect(written.at(-2)!.detail).to.equal('1000')
        expect(Number(/^\d+/.exec(lost.detail)![0]) + written.length - 1).to.equal(1000)
    })
})
