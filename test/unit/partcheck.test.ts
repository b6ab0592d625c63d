import { expect } from 'chai'
import { aheadOf } from '../../sidecar/clocks'
import { checkParts } from '../../sidecar/partcheck'
import type { Figures } from '../../sidecar/records'
import type { Keeper } from '../../sidecar/recovery'

const NOON = 1_800_000_000_000 // ms
const HERE = { clock: NOON, asked: NOON, answered: NOON }

describe('the difference of two clocks', () => {
    it('is what a round trip cannot account for', () => {
        expect(aheadOf({ clock: NOON + 500, asked: NOON, answered: NOON }, HERE)).to.equal(500)
        expect(aheadOf({ clock: NOON - 500, asked: NOON, answered: NOON }, HERE)).to.equal(-500)
        // Anywhere between -100 and 100 ms.
        expect(Math.abs(aheadOf({ clock: NOON + 100, asked: NOON, answered: NOON + 200 }, HERE))).to.equal(0)
        expect(Math.abs(aheadOf({ clock: NOON + 190, asked: NOON, answered: NOON + 200 }, HERE))).to.equal(0)
        expect(aheadOf({ clock: NOON + 500, asked: NOON, answered: NOON + 200 }, HERE)).to.equal(300)
        expect(aheadOf({ clock: NOON - 500, asked: NOON, answered: NOON + 200 }, HERE)).to.equal(-500)
    })

    it('is the same whatever this host takes for the time', () => {
        const late = { clock: NOON + 250, asked: NOON + 7000, answered: NOON + 7000 }
        const coordinator = { clock: NOON, asked: NOON + 7000, answered: NOON + 7000 }
        expect(aheadOf(late, coordinator)).to.equal(250)
    })
})

describe('the check of a kept clock', () => {
    const waits = (ahead: number | undefined, tolerance: number | null) => {
        const clock = ahead === undefined ? undefined : { clock: NOON + ahead, asked: NOON, answered: NOON }
        const keeper = { node: { up: true, address: { name: 'b' } }, sight: { clock } } as unknown as Keeper
        const found = checkParts(keeper, undefined, { clock: HERE, tolerance } as Figures)
        expect(found.map(({ key }) => key)).to.deep.equal(['node.commit_wait', 'node.watch', 'node.watch_wal'])
        return found.flatMap(({ troubles }) => troubles.map(({ finding, why }) => `${finding}: ${why}`))
    }

    it('finds nothing where none is kept, the node is away, or nobody waits for long', () => {
        for (const [ahead, tolerance] of [
            [5000, null],
            [undefined, 1],
            [100, 1],
            [-100, 1]
        ] as const)
            expect(waits(ahead, tolerance)).to.deep.equal([])
    })

    it('tells whether COMMIT waits or fails', () => {
        expect(waits(300, 1)[0]).to.match(
            /^its clock is 0\.3 s ahead of the coordinator's, and a clock is kept: COMMIT of every set .* waits/
        )
        expect(waits(-1500, 1)[0]).to.match(/^its clock is 1\.5 s behind .*: COMMIT fails, as they are more than 1 s apart/)
    })
})
