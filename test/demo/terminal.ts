/** What a person types at a prompt, and sees: in a real psql where there is one, else in a likeness of it. */
import { spawnSync } from 'node:child_process'
import { DatabaseError, type Client } from 'pg'
import type { Cluster, Login } from '../support/cluster'
import { findPsql, PsqlSession } from '../support/psql'
import { table } from './table'

export interface Terminal {
    /** Types a statement; resolves with what appears below it. */
    type(sql: string): Promise<string>
    close(): Promise<void>
}

/** psql needs script(1) to be given a terminal of its own. */
export const hasPsql = (): boolean =>
    findPsql() !== undefined && spawnSync('script', ['--version'], { stdio: 'ignore' }).error === undefined

export async function openTerminal(cluster: Cluster, login: Login): Promise<Terminal> {
    if (!hasPsql()) return new Likeness(await cluster.connect({ ...login, application_name: 'psql' }))
    const session = await PsqlSession.open(cluster, login)
    // As after starting psql by hand; and no line numbers of our functions below an error.
    await session.send('\\set QUIET off\n\\set SHOW_CONTEXT never')
    return { type: (sql) => session.send(sql), close: () => session.close() }
}

type Answer = {
    readonly command: string
    readonly rowCount: number | null
    readonly rows: (string | null)[][]
    readonly fields: Parameters<typeof table>[0]
}

class Likeness implements Terminal {
    constructor(private readonly client: Client) {}

    async type(sql: string): Promise<string> {
        try {
            const text = sql.replace(/;\s*$/, '')
            const answer: Answer = await this.client.query({
                text,
                rowMode: 'array',
                types: { getTypeParser: () => (value: string) => value }
            })
            return answer.fields.length > 0 ? `${table(answer.fields, answer.rows)}\n` : `${tag(answer)}\n`
        } catch (error) {
            return complaint(error)
        }
    }

    async close(): Promise<void> {
        await this.client.end().catch(() => undefined)
    }
}

function tag({ command, rowCount }: Answer): string {
    if (command === 'INSERT') return `INSERT 0 ${rowCount ?? 0}`
    return ['UPDATE', 'DELETE', 'SELECT', 'MERGE'].includes(command) ? `${command} ${rowCount ?? 0}` : command
}

function complaint(error: unknown): string {
    if (!(error instanceof DatabaseError)) return 'server closed the connection unexpectedly\n'
    const { severity, message, detail, hint } = error
    return [`${severity ?? 'ERROR'}:  ${message}`, ...(detail ? [`DETAIL:  ${detail}`] : []), ...(hint ? [`HINT:  ${hint}`] : []), ''].join(
        '\n'
    )
}
