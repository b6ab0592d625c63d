import { flight, type Session, type Statement } from '../session'
import { updateText, type Transfer, type Variant } from './variant'

const common = { safe: true, connects: 'coordinator', decisions: 'pglobalxact', entry: 'exec' } as const

/** A variant with await() behind it. */
export const awaited = (variant: Variant): Variant => ({
    ...variant,
    name: `${variant.name}-await`,
    title: 'the same, then await(): all branches are committed when it returns',
    async transfer(session, transfer) {
        await variant.transfer(session, transfer)
        await flight(session.coordinator, { name: 'await', text: 'select pglobalxact.await()' })
    }
})

function works(session: Session, transfer: Transfer): Statement[] {
    return Array.from({ length: session.branches }, (_, n) => ({
        name: 'exec',
        text: 'select pglobalxact.exec($1, $2)',
        values: [`n${n + 1}`, updateText(transfer)]
    }))
}

export const exec: Variant = {
    ...common,
    name: 'exec',
    title: 'pglobalxact.exec: BEGIN and a call per node in one flight, then COMMIT',
    async transfer(session, transfer) {
        await flight(session.coordinator, 'begin', ...works(session, transfer))
        session.committing()
        await flight(session.coordinator, 'commit')
    }
}

export const execAwait = awaited(exec)

export const execScript: Variant = {
    ...common,
    name: 'exec-script',
    title: 'pglobalxact.exec: BEGIN, a call per node and COMMIT in one string, one round trip',
    async transfer(session, transfer) {
        const calls = Array.from({ length: session.branches }, (_, n) => `select pglobalxact.exec('n${n + 1}', '${updateText(transfer)}');`)
        session.committing()
        await flight(session.coordinator, `begin; ${calls.join(' ')} commit`)
    }
}
