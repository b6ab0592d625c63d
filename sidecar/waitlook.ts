import type { Client } from 'pg'
import type { Catalog } from './catalog'
import { describeFailure, type Node } from './node'
import type { Keeper } from './recovery'
import { destroy } from './session'
import { nodeSql } from './sqlfiles'
import type { Answer, Seen, ServerLook } from './waitgraph'

export interface Silent {
    readonly place: string
    readonly error: string
}

export interface Sight {
    readonly patience: number
    readonly seen: Seen
    readonly silent: readonly Silent[]
}

/** What one look cost. */
export interface Cost {
    query(milliseconds: number): void
}

interface Question {
    readonly coordinator: string
    readonly catalog: Pick<Catalog, 'waits'>
    readonly keepers: ReadonlyMap<number, Keeper>
    /** In any case, and at every node; otherwise only where some set that has been open for a while may wait. */
    readonly everything: boolean
    readonly ask: (node: Node, everything: boolean) => Promise<readonly Answer[]>
    readonly cost: Cost
}

const WAITS = nodeSql('waits')
const BRANCH_WAITS = nodeSql('branch_waits')

/**
 * One look at who waits for whom, at all servers at once. Nodes are asked only if they have a branch of a set that is not young; the others only
 * if some set waits at one of these: a cycle goes through sets of other coordinators, too, and those could be anywhere.
 */
export async function lookAtWaits({ coordinator, catalog, keepers, everything, ask, cost }: Question): Promise<Sight> {
    const timed = async <T>(
        question: () => Promise<T>
    ): Promise<{ readonly answer: T; readonly asked: number; readonly answered: number }> => {
        const asked = performance.now()
        try {
            const answer = await question()
            return { answer, asked, answered: performance.now() }
        } finally {
            cost.query(performance.now() - asked)
        }
    }
    const here = await timed(() => catalog.waits(everything))
    const { patience, tag, sets = [], look } = here.answer
    const { asked, answered } = here
    const looks: ServerLook[] = look === undefined ? [] : [{ number: 0, place: 'coordinator', asked, answered, ...look }]
    const silent: Silent[] = []
    let busy = look?.busy === true
    const askNode = async ({ node }: Keeper): Promise<void> => {
        const { number, name: place } = node.address
        try {
            const there = await timed(() => ask(node, everything))
            const answer = there.answer[0]
            if (answer === undefined) return
            looks.push({ number, place, asked: there.asked, answered: there.answered, ...answer })
            busy ||= answer.busy
        } catch (error) {
            silent.push({ place, error: describeFailure(error).message })
        }
    }
    const all = [...keepers.values()].filter(({ node }) => everything || node.up)
    const old = new Set(sets.filter(({ age }) => (age ?? patience) >= patience / 4).flatMap(({ nodes }) => nodes))
    const first = all.filter(({ node }) => everything || old.has(node.address.number))
    await Promise.all(first.map(askNode))
    if (busy) await Promise.all(all.filter((keeper) => !first.includes(keeper)).map(askNode))
    return { patience, seen: { coordinator, tag, sets, asked, answered, looks }, silent }
}

/** On a connection made for it: for a look that a person asked for. */
export const askOnce = (node: Node, everything: boolean): Promise<readonly Answer[]> => node.lookOnce<Answer>(WAITS, [everything, []])

/**
 * Connections kept for looks that come again and again. Never one on which branches are finished: a look may have to wait, for a lock on a
 * catalog of all things. A node that does not answer in time is passed over until it does, so that nobody waits for it.
 */
export class Eyes {
    private readonly open = new Map<Node, Promise<Client>>()
    private readonly late = new Set<Node>()

    async ask(node: Node, everything: boolean, patience: number): Promise<readonly Answer[]> {
        if (this.late.has(node)) throw new Error('still busy with the look before')
        let timer: NodeJS.Timeout | undefined
        const tooLate = new Promise<never>(
            (_, fail) => (timer = setTimeout(() => fail(new Error(`no answer within ${patience} ms`)), patience))
        )
        this.late.add(node)
        const answer = this.look(node, everything).finally(() => this.late.delete(node))
        return Promise.race([answer, tooLate]).finally(() => clearTimeout(timer))
    }

    private async look(node: Node, everything: boolean): Promise<readonly Answer[]> {
        const known = this.open.get(node) ?? node.visit()
        this.open.set(node, known)
        try {
            const client = await known
            if (!everything && !(await client.query<{ found: boolean }>(BRANCH_WAITS)).rows[0]!.found) return []
            return (await client.query<Answer>(WAITS, [true, []])).rows
        } catch (error) {
            this.drop(node)
            throw error
        }
    }

    /** Those of nodes that are gone, or were connected anew. */
    keepOnly(nodes: ReadonlySet<Node>): void {
        for (const node of this.open.keys()) if (!nodes.has(node)) this.drop(node)
    }

    private drop(node: Node): void {
        void this.open.get(node)?.then(destroy, () => undefined)
        this.open.delete(node)
    }
}
