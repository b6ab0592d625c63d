/**
 * A client process: some of the sessions of a cell. The bench runs a few of them, the same number for every variant, so that no
 * single thread is the bottleneck. Orders and answers are messages (fleet.ts).
 */
import { type Answer, type Order } from './messages'
import { connect, ROWS, Session, type Places } from './session'
import { variantNamed } from './variants'
import type { Variant } from './variants/variant'

let sessions: Session[] = []
let variant: Variant
let stride = 1
let tags = 0

const answer = (message: Answer): void => void process.send!(message)

async function open(number: number, places: Places): Promise<Session> {
    const [local, nodes, finishers] = await Promise.all([
        variant.connects === 'nodes' ? undefined : connect(places.coordinator),
        Promise.all(variant.connects === 'coordinator' ? [] : places.nodes.map(connect)),
        Promise.all(variant.finishers ? places.nodes.map(connect) : [])
    ])
    const session = new Session(number, local, nodes, finishers, places.nodes.length)
    await variant.open?.(session)
    return session
}

interface Measured {
    transfers: number
    inTime: number
    readonly commits: number[]
    readonly wholes: number[]
}

/** Each session goes through rows of its own: no two wait for each other's row, and none lock each other out across nodes. */
async function runUntil(session: Session, deadline: number, least: number, measured: Measured): Promise<void> {
    const rows = Math.floor(ROWS / stride)
    for (let n = 0; n < least || performance.now() < deadline; n++) {
        const began = performance.now()
        tags += 1
        await variant.transfer(session, { row: 1 + session.number + (n % rows) * stride, tag: tags })
        const ended = performance.now()
        session.check()
        measured.transfers += 1
        if (ended <= deadline) measured.inTime += 1
        measured.commits.push(ended - session.committingSince)
        measured.wholes.push(ended - began)
    }
    await session.idle()
}

async function run(seconds: number, least: number): Promise<Measured> {
    const measured: Measured = { transfers: 0, inTime: 0, commits: [], wholes: [] }
    const deadline = performance.now() + seconds * 1000
    await Promise.all(sessions.map((session) => runUntil(session, deadline, least, measured)))
    return measured
}

async function obey(order: Order): Promise<void> {
    switch (order.kind) {
        case 'open':
            variant = variantNamed(order.variant)
            stride = order.sessions
            tags = order.firstTag
            sessions = await Promise.all(order.numbers.map((number) => open(number, order.places)))
            return answer({ kind: 'opened', transfers: (await run(order.warmupSeconds, 2)).transfers })
        case 'run': {
            const before = process.cpuUsage()
            const measured = await run(order.seconds, 1)
            const { user, system } = process.cpuUsage(before)
            return answer({ kind: 'ran', cpuUs: user + system, ...measured })
        }
        case 'close':
            await Promise.all(sessions.map((session) => session.close()))
            sessions = []
            return answer({ kind: 'closed' })
    }
}

process.on('message', (order: Order) => {
    obey(order).catch((error: unknown) =>
        answer({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    )
})
// The bench is gone, and we with it.
process.on('disconnect', () => process.exit())
