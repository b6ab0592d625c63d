import type { Catalog } from './catalog'
import type { Config } from './config'
import type { ConnectionConfig } from './connection'
import type { Complaint } from './doctor'
import type { FaultPoints } from './fault'
import type { Log } from './log'
import type { Keeper } from './recovery'
import type { Resolver } from './resolver'
import type { RestorePoints } from './restorepoints'
import type { Snapshots } from './snapshots'
import type { StateFile } from './statefile'
import type { Tally } from './tally'
import type { Mode } from './waitgraph'
import type { WatchSet } from './watch/watchset'

/** What carrying out a request may need. */
export interface RequestParts {
    readonly coordinator: string
    /** server_version_num. */
    readonly coordinatorVersion: number
    readonly catalog: Catalog
    readonly state: StateFile
    readonly resolver: Resolver
    readonly keepers: ReadonlyMap<number, Keeper>
    readonly watches: WatchSet
    readonly log: Log
    readonly tally: Tally
    readonly fault: FaultPoints
    readonly refreshNodes: () => Promise<void>
    readonly config: Config
    /** For sessions on the coordinator beside those by which the sidecar acts. */
    readonly connection: ConnectionConfig
    readonly lockWaits: () => Promise<unknown>
    readonly deadlocks: () => Promise<unknown>
    readonly detectDeadlocks: (mode: Mode, by: string) => Promise<unknown>
    readonly doctor: (complaint: Complaint) => Promise<unknown>
    readonly snapshots: Snapshots
    readonly restorePoints: RestorePoints
}

/** An answer that becomes an ERROR in the psql of whoever asked. */
export class RequestError extends Error {
    constructor(
        readonly sqlstate: string,
        message: string,
        readonly hint: string,
        readonly detail = ''
    ) {
        super(message)
    }
}

export const UNKNOWN_OBJECT = '42704'
export const WRONG_STATE = '55000'

export const unknownSet = (id: string): RequestError =>
    new RequestError(
        UNKNOWN_OBJECT,
        `set "${id}" is not known: no commit record, no session, and no branch on any node that answers`,
        'See: select * from pglobalxact.sets();'
    )
