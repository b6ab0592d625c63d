/** A finding is provoked on real servers, and cured by pasting what doctor() says. */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { expect } from 'chai'
import { Sidecar, buildOnce } from '../../support/process'
import { psql } from '../../support/psql'
import { until } from '../../support/wait'
import { cleanEnv, register, workDir } from '../../support/workdir'
import { PASSWORDS, type World } from '../../support/world'

export interface Row {
    readonly key: string
    readonly found: boolean
    readonly severity: string
    readonly place: string
    readonly finding: string
    readonly why: string
    readonly fix: string
}

export interface Case {
    readonly key: string
    readonly title: string
    readonly severity: 'error' | 'warning' | 'advice'
    readonly place: string
    readonly finding: RegExp
    /** Makes it so. */
    readonly provoke: (world: World) => Promise<unknown>
    /** Age from which things are old; default: as the product has it. */
    readonly patience?: string
    /** What a person would fill in where the command has "…", or what the test needs to paste it. */
    readonly fill?: (fix: string, world: World) => string
    /** Instead of pasting, where no command can do it here. */
    readonly cure?: (world: World, fix: string) => Promise<unknown>
    /** Beyond what the command does: a restart it asks for, what the provocation left. */
    readonly afterwards?: (world: World) => Promise<unknown>
}

/** Every check as the schema's owner sees it: what doctor() shows, with its key. */
export async function checks(world: World, patience = ''): Promise<Row[]> {
    const client = await world.coordinator.connect({ database: world.database })
    try {
        await client.query(`set role pglobalxact; set pglobalxact.doctor_patience = '${patience}'`)
        return (await client.query<Row>('select * from pglobalxact._doctor()')).rows
    } finally {
        await client.end()
    }
}

export const findings = async (world: World, patience?: string): Promise<Row[]> =>
    (await checks(world, patience)).filter(({ found }) => found)

/** What a watcher sees. */
export async function shown(world: World, patience = ''): Promise<Omit<Row, 'key' | 'found'>[]> {
    const client = await world.coordinator.connect(world.login('watcher'))
    try {
        await client.query(`set pglobalxact.doctor_patience = '${patience}'`)
        return (await client.query<Row>('select * from pglobalxact.doctor()')).rows
    } finally {
        await client.end()
    }
}

export function provokeAndCure(cases: readonly Case[], world: () => World): void {
    for (const one of cases) {
        it(`${one.key}: ${one.title}`, async () => {
            const here = world()
            const hits = async (): Promise<Row[]> =>
                (await findings(here, one.patience)).filter((row) => row.key === one.key && one.finding.test(row.finding))
            expect(await hits(), 'before it is provoked').to.deep.equal([])
            await one.provoke(here)
            const row = (await until(`doctor() finds ${one.key}`, async () => (await hits())[0]))!
            expect(row).to.include({ severity: one.severity, place: one.place })
            expect(row.why, 'says why').to.match(/.{15}/)
            expect((await shown(here, one.patience)).map(({ finding }) => finding.replace(/\d\d:\d\d:\d\d/, ''))).to.include(
                row.finding.replace(/\d\d:\d\d:\d\d/, '')
            )
            if (one.cure) await one.cure(here, row.fix)
            else await paste(here, row.place, one.fill ? one.fill(row.fix, here) : row.fix)
            await one.afterwards?.(here)
            await until(`${one.key} is cured by: ${row.fix}`, async () => (await hits()).length === 0)
        })
    }
}

const isSql = (text: string): boolean => /^(\/\*.*?\*\/ *)?(select|alter|grant|revoke|create|drop|update|delete|rollback) /.test(text)

/** As a DBA would: SQL into a superuser's psql at its place, anything else into a shell. */
export async function paste(world: World, place: string, text: string): Promise<void> {
    expect(text, 'nothing is left to fill in').to.not.contain('…')
    if (!isSql(text)) return void runShell(world, text)
    const node = text.startsWith('/* at the coordinator */') ? undefined : /^node (.*)$/.exec(place)?.[1]
    const atHome = /pglobalxact\.|foreign server|on server|user mapping| server "?\w+"? options/.test(text)
    const cluster = node === undefined || atHome ? world.coordinator : world.nodes.get(node)!
    const { stderr, code } = await psql(cluster, { database: world.database }, `${text}\n`, { args: ['-v', 'ON_ERROR_STOP=1'] })
    // A force shows its plan first, and what to type to carry it out.
    const [, next] = /NOTICE: {2}nothing was done: this is the plan\n(?:HINT: {2}To carry it out: )(.*;)$/m.exec(stderr) ?? []
    if (next !== undefined) return paste(world, place, next)
    expect({ stderr: stderr.trim(), code }, text).to.deep.equal({ stderr: '', code: 0 })
}

/** A directory with an npx that finds this checkout's program. */
function tools(): string {
    buildOnce()
    const directory = join(workDir(), 'tools')
    if (existsSync(directory)) return directory
    mkdtempSync(directory + '-')
    spawnSync('mkdir', [directory])
    const main = resolve(__dirname, '..', '..', '..', 'dist', 'main.js')
    writeFileSync(join(directory, 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${main}" "$@"\n`)
    chmodSync(join(directory, 'npx'), 0o755)
    return directory
}

const shellEnv = (password: string): NodeJS.ProcessEnv => {
    const env = cleanEnv()
    return { ...env, PATH: `${tools()}${delimiter}${env['PATH'] ?? ''}`, PGPASSWORD: password }
}

function runShell(world: World, text: string): void {
    const { status, stderr } = spawnSync('sh', ['-c', text], { env: shellEnv(world.coordinator.password), encoding: 'utf8' })
    expect({ status, stderr }, text).to.deep.equal({ status: 0, stderr: '' })
}

/** A command that starts the sidecar, which then runs on: the commands before "&&" are run first. */
export async function pasteStart(world: World, text: string): Promise<void> {
    const parts = text.split(' && ')
    const last = parts.pop()!
    for (const part of parts) runShell(world, part)
    expect(last).to.match(/^([A-Z]+=\S+ )*npx pglobalxact run --state-dir /)
    const child = spawn('sh', ['-c', `exec env ${last}`], { env: shellEnv(PASSWORDS.pglobalxact), stdio: ['ignore', 'pipe', 'pipe'] })
    register(child, 'pglobalxact run', 'KILL')
    world.sidecar = new Sidecar(child)
    await world.sidecar.waitForLog(/ acting /)
}
