/** What the sidecar's tests share. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import type { Client } from 'pg'
import { startSidecar, type SidecarOptions } from '../support/process'
import { until, within } from '../support/wait'
import { workDir } from '../support/workdir'
import { PASSWORDS, type World } from '../support/world'

/** An empty directory that a sidecar may have for its state files. */
export const newStateDir = (): string => mkdtempSync(join(workDir(), 'st-'))

/** Runs a sidecar that is expected to refuse: exit 2, one line that says why, one that says what to do. */
export async function refused(
    options: SidecarOptions
): Promise<{ readonly message: string; readonly hint: string; readonly logs: readonly string[] }> {
    const sidecar = startSidecar(options)
    const code = await within(sidecar.exit, 15_000)
    if (code === undefined) await sidecar.kill()
    expect(code, `exit code; it printed:\n${sidecar.logs.join('\n')}`).to.equal(2)
    const [message, hint] = sidecar.logs.slice(-2)
    expect(message).to.match(/^pglobalxact: /)
    expect(hint).to.match(/^ {2}hint: /)
    expectNoSecret(sidecar.logs.join('\n'))
    return { message: message!.slice('pglobalxact: '.length), hint: hint!.slice('  hint: '.length), logs: sidecar.logs.slice(0, -2) }
}

export function expectNoSecret(text: string): void {
    for (const secret of Object.values(PASSWORDS)) expect(text).to.not.contain(secret)
}

/** The error of a promise that must fail, as PostgreSQL reports it. */
export async function failure(
    promise: Promise<unknown>
): Promise<{ readonly code?: string; readonly message: string; readonly hint?: string; readonly detail?: string }> {
    try {
        await promise
    } catch (error) {
        expect(error).to.be.instanceOf(Error)
        return error as Error
    }
    throw new Error('it succeeded, and was to fail')
}

let row = 1000

/** Commits a set that adds a row of its own on each node: it never waits for the locks of another. Returns its id. */
export async function addRow(world: World, client: Client, nodes: readonly string[] = [...world.nodes.keys()]): Promise<string> {
    const id = ++row
    await client.query('begin')
    for (const node of nodes) await client.query('select pglobalxact.exec($1, $2)', [node, `insert into account values (${id}, 0)`])
    const { rows } = await client.query<{ id: string }>('select pglobalxact.set_id() as id')
    await client.query('commit')
    return rows[0]!.id
}

/**
 * Commits a set whose branch on the node cannot be finished, and returns its id when the sidecar has tried: it may not any more, until
 * "grant node_app to node_sidecar" there. `commit`: a transfer over all nodes, unless told otherwise.
 */
export async function commitRefusedAt(world: World, node: string, commit = transferred): Promise<string> {
    await world.withdraw(node)
    const set = await commit(world)
    await until(
        `the branch was refused on ${node}`,
        async () => (await world.sql('select from pglobalxact.branches() where node = $1 and attempts > 0', [node])).length > 0
    )
    return set
}

async function transferred(world: World): Promise<string> {
    const client = await world.connect()
    const set = await world.transfer(client)
    await client.query('commit')
    return set
}
