import { flight } from '../session'
import { UPDATE, type Variant } from './variant'

export const local: Variant = {
    name: 'local',
    title: 'one local UPDATE on the coordinator: no node, no set',
    safe: true,
    connects: 'coordinator',
    rows: () => 0,
    async transfer(session, { row, tag }) {
        session.committing()
        await flight(session.coordinator, { ...UPDATE, values: [row, tag] })
    }
}
