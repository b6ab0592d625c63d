/** A coordinator, two nodes and a sidecar, on which cases run one after the other. */
import { expect } from 'chai'
import { until } from '../../support/wait'
import type { World } from '../../support/world'
import { createGround, destroyGround, revive } from '../support/ground'
import { stateFiles, type Balances } from '../support/ledger'
import { armFaultPoints } from '../support/sqlfaults'
import type { Case } from './cases'
import { Eyes } from './eyes'
import { keep, sidecarArguments } from './figures'
import { startServers, strike } from './parties'
import type { Outcome } from './points'
import { AMOUNT, type Standing } from './scenes'

const EVERY = { everyMs: 10 }
const PLENTY = 1_000_000_000

export class Lane {
    private readonly eyes: Eyes

    private constructor(private readonly world: World) {
        this.eyes = new Eyes(world)
    }

    static async open(): Promise<Lane> {
        const quiet = { log_statement: 'none' }
        const settings = { a: quiet, b: quiet, c: quiet }
        const world = await createGround({ name: 'matrix', settings, sidecarArgs: sidecarArguments() })
        await armFaultPoints(world)
        await world.sql('update account set balance = $1', [PLENTY])
        for (const sql of [world.sql.bind(world), world.node.bind(world, 'b'), world.node.bind(world, 'c')])
            await sql('insert into account select 2, balance from account')
        return new Lane(world)
    }

    async close(): Promise<void> {
        await this.eyes.close()
        await destroyGround(this.world)
    }

    /** Brings a set to the point, kills, starts again what died, waits until all agree, and looks at everything. */
    async run(one: Case): Promise<void> {
        const { world } = this
        const dead = new Set(one.dead)
        await revive(world)
        const before = await until('the balances can be read', () => this.eyes.balances())
        const standing = await one.point.scene(world, one.point)
        try {
            const { sidecar } = world
            const crashed = performance.now()
            await strike(world, standing, one.dead)
            await standing.release()
            // Unless it was killed it must have gone on by itself: it may be stopped, it may not have ended.
            sidecar!.resume()
            await startServers(world)
            if (dead.has('sidecar')) world.launchSidecar()
            const back = performance.now()
            const outcome = await this.agreed(standing)
            keep(one, world.coordinator.versionNum, { crashed, back, agreed: performance.now() })
            const expected = one.point.expected(dead)
            if (expected !== 'either') expect(outcome).to.equal(expected)
            await this.allAgree(standing, outcome, before)
            expect(world.sidecar!.running, 'the sidecar runs').to.equal(true)
        } finally {
            await standing.end()
        }
    }

    /** Waits until no branch is prepared anywhere, and returns what became of the sets: of all of them the same. */
    private async agreed({ sets }: Standing): Promise<Outcome> {
        const outcomes = await until(
            'all is decided and no branch is prepared',
            async () => {
                const [prepared, found] = await Promise.all([this.eyes.prepared(), this.eyes.outcomes(sets)])
                if (prepared.length > 0 || found.includes('in progress')) throw new Error(JSON.stringify({ prepared, found }))
                return found
            },
            EVERY
        )
        expect(new Set(outcomes).size, outcomes.join()).to.equal(1)
        expect(outcomes[0]).to.be.oneOf(['committed', 'rolled back'])
        return outcomes[0] as Outcome
    }

    private async allAgree(standing: Standing, outcome: Outcome, before: Balances): Promise<void> {
        const told = await standing.told()
        if (told !== 'nothing') expect(told, 'what the client was told').to.equal(outcome)
        expect(await this.eyes.balances(), outcome).to.deep.equal(outcome === 'committed' ? moved(before, standing) : before)
        await until('the books are closed', async () => (await this.eyes.sets()).length === 0, EVERY)
        await until('the state directory is empty', () => stateFiles(this.world).length === 0, EVERY)
        expect(await this.eyes.prepared(), 'at the end').to.deep.equal([])
        expect(await this.eyes.balances(), 'at the end').to.deep.equal(outcome === 'committed' ? moved(before, standing) : before)
    }
}

function moved(before: Balances, { sets, nodes }: Standing): Balances {
    const sum = AMOUNT * sets.length
    const change = ([name, balance]: [string, number]): [string, number] => [
        name,
        name === 'a' ? balance - sum * nodes.length : balance + (nodes.includes(name) ? sum : 0)
    ]
    return Object.fromEntries(Object.entries(before).map(change))
}
