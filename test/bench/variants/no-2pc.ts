import { UPDATE, type Variant } from './variant'

export const no2pc: Variant = {
    name: 'no-2pc',
    title: 'plain COMMIT on all nodes in parallel: a crash between two of them commits half',
    safe: false,
    connects: 'nodes',
    async transfer(session, { row, tag }) {
        await session.everywhere('begin', { ...UPDATE, values: [row, tag] })
        session.committing()
        await session.everywhere('commit')
    }
}
