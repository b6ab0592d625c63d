import { expect } from 'chai'
import { untilTurn } from '../../sidecar/stagger'

const INTERVAL = 1000
const COORDINATOR = '0a1b2c3d'

describe('the turns of many nodes', () => {
    const turnsOf = (node: number, from: number, count: number, takes = 0): number[] => {
        const turns: number[] = []
        for (let now = from; turns.length < count; now += takes) turns.push((now += untilTurn(now, INTERVAL, node, COORDINATOR)))
        return turns
    }

    it('come once an interval, whenever the first look was', () => {
        for (const node of [1, 2, 99, 123_456_789])
            for (const from of [0, 1, 499.5, 1_700_000_000_123]) {
                const [first, ...rest] = turnsOf(node, from, 20)
                expect(first! - from).to.be.within(INTERVAL / 2, (INTERVAL * 3) / 2)
                rest.forEach((turn, index) => expect(turn - first!).to.be.closeTo((index + 1) * INTERVAL, 0.01))
            }
    })

    it('keep their place when looks take long', () => {
        const turns = turnsOf(7, 12_345, 20, 400)
        const places = turns.map((turn) => turn % INTERVAL)
        for (const place of places) expect(place).to.be.closeTo(places[0]!, 0.01)
    })

    it('lie evenly over the interval, though all nodes were first looked at in the same moment', () => {
        for (const nodes of [10, 50, 100]) {
            const places = Array.from({ length: nodes }, (_, index) => turnsOf(index + 1, 0, 2)[1]! % INTERVAL)
            const tenths = Array.from({ length: 10 }, (_, tenth) => places.filter((place) => Math.floor(place / 100) === tenth).length)
            expect(Math.max(...tenths), `of ${nodes} nodes: ${tenths.join(' ')}`).to.be.at.most(nodes / 10 + 2)
        }
    })

    it('differ between two coordinators of the same node', () => {
        const other = untilTurn(0, INTERVAL, 1, '8a1b2c3d')
        expect(Math.abs(other - untilTurn(0, INTERVAL, 1, COORDINATOR))).to.be.greaterThan(100)
    })
})
