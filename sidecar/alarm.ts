/** Troubles of the state directory, told to the coordinator's history, and with it to whoever listens for alerts. */
import { Client } from 'pg'
import type { Catalog } from './catalog'
import type { ConnectionConfig } from './connection'
import type { Log } from './log'
import { destroy } from './session'
import { messageOf } from './sqlstate'

const LAST_WORDS = 3000 // ms: who waits for the exit waits for this

/** State files that cannot be written: told once per trouble, and once when it is over. */
export class StateAlarm {
    private told = false

    /** Fails with the coordinator; then it is told at a later call. */
    async tell(catalog: Catalog, problem: string | undefined): Promise<void> {
        if ((problem !== undefined) === this.told) return
        if (problem === undefined) await catalog.noteEvent('state writable', undefined, undefined, 'state files can be written again')
        else await catalog.noteEvent('state unwritable', undefined, undefined, problem)
        this.told = !this.told
    }
}

/** Before the process gives up: writes one event, if the coordinator takes it within three seconds. Never throws. */
export async function lastWords(connection: ConnectionConfig, kind: string, detail: string, log: Log): Promise<void> {
    const client = new Client({ ...connection, application_name: 'pglobalxact sidecar', connectionTimeoutMillis: LAST_WORDS })
    client.on('error', () => undefined)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, fail) => (timer = setTimeout(() => fail(new Error('no answer in time')), LAST_WORDS)))
    try {
        const said = client.connect().then(() => client.query('select pglobalxact._note_event($1, null, null, $2)', [kind, detail]))
        await Promise.race([said, late])
    } catch (error) {
        log.warning('could not tell the coordinator', { kind, error: messageOf(error) })
    } finally {
        clearTimeout(timer)
        destroy(client)
    }
}
