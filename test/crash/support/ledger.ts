/** What every crash test ends with: one outcome everywhere, the money all there, and nothing left over. */
import { readdirSync } from 'node:fs'
import { expect } from 'chai'
import { until } from '../../support/wait'
import type { World } from '../../support/world'

export type Outcome = 'committed' | 'rolled back'
export type Balances = Readonly<Record<string, number>>

const sum = (balances: Balances): number => Object.values(balances).reduce((a, b) => a + b, 0)

/** Names of the state files; the file "home" and the socket are always there. */
export function stateFiles(world: { readonly stateDir: string }): readonly string[] {
    return readdirSync(world.stateDir)
        .filter((name) => name !== 'home' && name !== 'sidecar.sock')
        .sort()
}

/** Names of the state files in use. */
export const segments = (world: { readonly stateDir: string }): readonly string[] =>
    stateFiles(world).filter((name) => /^state-\d+\.log$/.test(name))

/** The bank before a set, and what must be true of it after. */
export class Ledger {
    private constructor(
        private readonly world: World,
        readonly before: Balances
    ) {}

    static async open(world: World): Promise<Ledger> {
        return new Ledger(world, await world.balances())
    }

    /** Waits until nothing is left of any set, then compares every server with the one outcome. */
    async closesAs(
        outcome: Outcome,
        set: string | undefined,
        amount = 10,
        nodes: readonly string[] = [...this.world.nodes.keys()]
    ): Promise<void> {
        await this.world.settled()
        await until('the state directory is empty', () => stateFiles(this.world).length === 0)
        const after = await this.world.balances()
        expect(sum(after), 'money in all').to.equal(sum(this.before))
        expect(after).to.deep.equal(outcome === 'committed' ? this.moved(amount, nodes) : this.before)
        if (set !== undefined) expect(await outcomeOf(this.world, set)).to.equal(outcome)
    }

    private moved(amount: number, nodes: readonly string[]): Balances {
        const change = ([name, balance]: [string, number]): [string, number] => [
            name,
            name === 'a' ? balance - amount * nodes.length : balance + (nodes.includes(name) ? amount : 0)
        ]
        return Object.fromEntries(Object.entries(this.before).map(change))
    }
}

export async function outcomeOf(world: World, set: string): Promise<unknown> {
    const [row] = await world.sql<{ outcome: string }>('select pglobalxact.outcome($1) as outcome', [set])
    return row!.outcome
}
