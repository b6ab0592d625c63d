/** Numbers that a seed makes again: everything a plan consists of is drawn from here, and nothing else is. */

export interface Random {
    /** A whole number from `least` to `most`, both included. */
    int(least: number, most: number): number
    chance(share: number): boolean
    pick<T>(from: readonly T[]): T
    shuffled<T>(from: readonly T[]): T[]
}

/** A 32-bit Weyl sequence, each step mixed by two rounds of multiply and shift: enough for plans, for nothing secret. */
export function random(seed: number, stream = 0): Random {
    let state = (seed ^ Math.imul(stream + 1, 0x9e3779b1)) >>> 0
    const next = (): number => {
        state = (state + 0x9e3779b9) >>> 0
        let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
        mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
        return ((mixed ^ (mixed >>> 15)) >>> 0) / 0x1_0000_0000
    }
    const int = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1))
    return {
        int,
        chance: (share) => next() < share,
        pick: (from) => from[int(0, from.length - 1)]!,
        shuffled: (from) => {
            const cards = [...from]
            for (let last = cards.length - 1; last > 0; last--) {
                const other = int(0, last)
                const card = cards[last]!
                cards[last] = cards[other]!
                cards[other] = card
            }
            return cards
        }
    }
}
