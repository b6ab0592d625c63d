/** The judgement: what must be true at the end of any run, whatever was done to it. Every violation names its sets. */
import type { Statement } from './client'
import type { Evidence } from './evidence'
import { OPENING, groupOf, type Book } from './tables'

export interface Violation {
    readonly what: string
    readonly sets: readonly string[]
}

/** Clock readings are compared in milliseconds, of which each is cut off at another place. */
const CLOCK_SLACK = 2

export function judge(evidence: Evidence): readonly Violation[] {
    const found = new Map<string, Set<string>>()
    const check = (what: string, sets: readonly string[]): void => {
        if (sets.length > 0) found.set(what, new Set([...(found.get(what) ?? []), ...sets]))
    }
    checkOutcomes(evidence, check)
    for (const book of evidence.books) checkBook(book, check)
    checkTogether(evidence, check)
    checkOrder(evidence, check)
    checkClaims(evidence, check)
    return [...found].map(([what, sets]) => ({ what, sets: [...sets] }))
}

type Check = (what: string, sets: readonly string[]) => void

const nameOf = ({ setId, tag }: Statement): string => (setId === undefined ? tag : `${setId} (${tag})`)

/** Of each set: what its client was told, what pglobalxact says, and what each server shows, are one thing. */
function checkOutcomes({ books, statements, outcomes, records, byHand, branches, history }: Evidence, check: Check): void {
    const shown = new Map(books.map(({ server, entries }) => [server, new Set(entries.map(({ tag }) => tag))]))
    const gids = new Map(branches.map(({ set, node, gid }) => [`${set} ${node}`, gid]))
    for (const statement of statements) {
        const { tag, nodes, setId, told, unread } = statement
        const name = [nameOf(statement)]
        const outcome = setId === undefined ? 'rolled back' : outcomes.get(setId)!
        const local = shown.get('a')!.has(tag)
        const missing = nodes.filter((node) => !shown.get(node)!.has(tag))
        const present = nodes.filter((node) => shown.get(node)!.has(tag))
        // Only a hand can have done that, and then it must be known as mixed.
        const struck = missing.filter((node) => byHand.has(gids.get(`${setId} ${node}`) ?? ''))
        if (local && struck.length < missing.length)
            check(`committed, and missing on ${missing.filter((one) => !struck.includes(one)).join(', ')}`, name)
        if (!local && present.length > 0) check(`rolled back on the coordinator, and there on ${present.join(', ')}`, name)
        const right = !local ? 'rolled back' : missing.length > 0 ? 'mixed' : 'committed'
        if (outcome !== right) check(`outcome() says ${outcome}, the servers show ${right}`, name)
        if (local !== (setId !== undefined && records.has(setId))) check('commit record and data of the local transaction differ', name)
        if (local && records.get(setId!) !== right) check(`the commit record says ${records.get(setId!)}, the servers show ${right}`, name)
        if (history.has(setId ?? '') && history.get(setId!) !== right)
            check(`history() says ${history.get(setId!)}, the servers show ${right}`, name)
        if (told === 'committed' && !local) check('the client was told committed, and it is not', name)
        if (told === 'rolled back' && local) check('the client was told rolled back, and it is not', name)
        if (unread.length > 0 && struck.length === 0) check(`await() said committed, and ${unread.join(', ')} did not show it`, name)
    }
    const known = new Set(statements.map(({ setId }) => setId))
    check(
        'a commit record that no client made',
        [...records.keys()].filter((id) => !known.has(id))
    )
}

/** Each server's totals are what its own lines add up to: no half of a statement, nothing twice. */
function checkBook({ server, entries, pots, counters, tracks }: Book, check: Check): void {
    const sum = (of: (entry: Book['entries'][number]) => boolean, value: (entry: Book['entries'][number]) => number): number =>
        entries.filter(of).reduce((total, entry) => total + value(entry), 0)
    for (const [id, balance] of pots) {
        const due =
            OPENING +
            sum(
                (entry) => entry.pot === id,
                (entry) => entry.amount
            )
        if (balance !== due) check(`on ${server} pot ${id} holds ${balance}, its entries make ${due}`, [server])
    }
    for (const [id, value] of counters) {
        const due = sum(
            (entry) => entry.counter === id,
            () => 1
        )
        if (value !== due) check(`on ${server} counter ${id} is ${value}, its entries are ${due}`, [server])
    }
    for (const [id, n] of tracks) {
        const places = entries.filter((entry) => entry.track === id).map((entry) => entry.n)
        if (places.length !== n || places.some((place, index) => place !== index + 1)) check(`on ${server} track ${id} has gaps`, [server])
    }
}

/** Money in all, and the counters of each group of nodes, on all servers: unless a hand made a set mixed, and known as such. */
function checkTogether({ books, statements }: Evidence, check: Check): void {
    const shown = new Map(books.map(({ server, entries }) => [server, new Map(entries.map((entry) => [entry.tag, entry]))]))
    const whole = statements.filter(({ tag, nodes }) => nodes.every((node) => shown.get(node)!.has(tag)) === shown.get('a')!.has(tag))
    const unbalanced = whole.filter(({ tag, nodes }) => {
        const amounts = ['a', ...nodes].map((server) => shown.get(server)!.get(tag)?.amount ?? 0)
        return amounts.reduce((total, amount) => total + amount, 0) !== 0
    })
    check('money made or lost', unbalanced.map(nameOf))
    for (const group of new Set(statements.map(({ nodes }) => groupOf(nodes)))) {
        const of = whole.filter(({ nodes }) => groupOf(nodes) === group)
        const counts = ['a', ...(of[0]?.nodes ?? [])].map((server) => of.filter(({ tag }) => shown.get(server)!.has(tag)).length)
        if (new Set(counts).size > 1)
            check(
                `counters of group ${group} differ: ${counts.join(', ')}`,
                of.filter((one) => one.nodes.some((node) => !shown.get(node)!.has(one.tag))).map(nameOf)
            )
    }
}

/** Two sets that met on two servers did so in the same order. */
function checkOrder({ books, statements }: Evidence, check: Check): void {
    const names = new Map(statements.map((one) => [one.tag, nameOf(one)]))
    for (const one of books) {
        for (const other of books) {
            if (one.server >= other.server) continue
            const there = new Map(other.entries.map((entry) => [entry.tag, entry]))
            const last = new Map<number, { readonly n: number; readonly tag: string }>()
            for (const { tag, track } of one.entries) {
                const place = there.get(tag)?.n
                if (place === undefined) continue
                const before = last.get(track)
                if (before !== undefined && before.n > place)
                    check(`in another order on ${one.server} than on ${other.server}`, [
                        names.get(before.tag) ?? before.tag,
                        names.get(tag) ?? tag
                    ])
                last.set(track, { n: place, tag })
            }
        }
    }
}

/** A set is called complete when its branches are committed, and not before. */
function checkClaims({ branches, forced, byHand, records }: Evidence, check: Check): void {
    const early = branches.filter(
        ({ set, gid, plain, completeAt, committedAt }) =>
            !plain &&
            !forced.has(set) &&
            !byHand.has(gid) &&
            records.get(set) === 'committed' &&
            completeAt !== undefined &&
            (committedAt === undefined || committedAt > completeAt + CLOCK_SLACK)
    )
    for (const { set, node, completeAt, committedAt } of early)
        check(
            committedAt === undefined
                ? `called complete, and not committed on ${node}`
                : `called complete ${(committedAt - completeAt!).toFixed(0)} ms before ${node} committed it`,
            [set]
        )
}
