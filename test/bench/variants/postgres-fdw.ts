import { flight } from '../session'
import type { Variant } from './variant'

export const postgresFdw: Variant = {
    name: 'postgres_fdw',
    title: 'foreign tables changed in one local transaction: no 2PC, a crash at the COMMIT commits half',
    safe: false,
    connects: 'coordinator',
    async transfer(session, { row, tag }) {
        const updates = Array.from({ length: session.branches }, (_, n) => ({
            name: `move${n + 1}`,
            text: `update account_${n + 1} set balance = balance + 1, tag = $2 where id = $1`,
            values: [row, tag]
        }))
        await flight(session.coordinator, 'begin', ...updates)
        session.committing()
        await flight(session.coordinator, 'commit')
    }
}
