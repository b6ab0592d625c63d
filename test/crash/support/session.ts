/** The session whose transfer the crash hits. */
import type { Client } from 'pg'
import { PsqlSession } from '../../support/psql'
import { until } from '../../support/wait'
import { PASSWORDS, type World } from '../../support/world'

/** Where the gate's trigger stands in the local COMMIT: before ours, behind ours, or nowhere. */
export type Gate = 'before' | 'behind' | 'none'

export interface Session {
    /** Pid of its backend on the coordinator. */
    readonly pid: number
    run(sql: string): Promise<unknown>
    /** Its client process dies. */
    killClient(): Promise<void>
}

/** A driver's session. */
export async function openClient(world: World): Promise<Session> {
    const client: Client = await world.connect('app')
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    return {
        pid: rows[0]!.pid,
        run: (sql) => client.query(sql),
        killClient: () => Promise.resolve(void client.connection.stream.destroy())
    }
}

/** A user at psql. */
export async function openPsql(world: World): Promise<Session> {
    const login = { database: world.database, user: 'app', password: PASSWORDS.app }
    const psql = await PsqlSession.open(world.coordinator, login, ['-A', '-t'])
    return {
        pid: Number(await psql.send('select pg_backend_pid();')),
        run: (sql) => psql.send(`${sql};`),
        killClient: () => psql.kill()
    }
}

/** Everything of a transfer but its COMMIT; returns the set's id. */
export async function beginTransfer(
    world: World,
    session: Session,
    gate: Gate = 'none',
    amount = 10,
    nodes = [...world.nodes.keys()]
): Promise<string> {
    await session.run('begin')
    if (gate === 'before') await session.run("insert into gate values ('before')")
    await session.run(`update account set balance = balance - ${amount * nodes.length}`)
    for (const node of nodes) await session.run(`select pglobalxact.exec('${node}', 'update account set balance = balance + ${amount}')`)
    if (gate === 'behind') await session.run("insert into gate values ('behind')")
    return until(
        'the set is in flight',
        async () =>
            (await world.sql<{ set_id: string }>('select set_id from pglobalxact.in_flight where pid = $1', [session.pid]))[0]?.set_id
    )
}

/** Sends COMMIT; the answer is the promise's business: it may never come. */
export function sendCommit(session: Session): Promise<'committed' | Error> {
    return session.run('commit').then(
        () => 'committed' as const,
        (error: unknown) => (error instanceof Error ? error : new Error(String(error)))
    )
}
