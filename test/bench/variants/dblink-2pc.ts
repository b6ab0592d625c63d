import { flight } from '../session'
import type { Variant } from './variant'

/** The procedure is in sql/dblink-2pc.sql. */
export const dblink2pc: Variant = {
    name: 'dblink-2pc',
    title: '2PC through dblink in a PL/pgSQL procedure, as a DBA writes it: a node after the other, connections kept',
    safe: true,
    connects: 'coordinator',
    decisions: 'bench',
    entry: 'transfer',
    open: async (session) => {
        await flight(session.coordinator, { text: 'call open_nodes($1)', values: [session.branches] })
    },
    async transfer(session, { row, tag }) {
        session.committing()
        await flight(session.coordinator, { name: 'transfer', text: 'call transfer($1, $2, $3)', values: [session.branches, row, tag] })
    }
}
