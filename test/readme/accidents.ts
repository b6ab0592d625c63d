/** What can go wrong in a bank between two transcripts, by the words of the document. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from 'pg'
import { SmallDisk } from '../crash/support/mounts'
import { addStandby, inStep } from '../crash/support/standby'
import { newStateDir, PLACES, type Place } from '../demo/bank'
import { Archived } from '../sidecar/restore/recovery'
import { runCommand, startSidecar } from '../support/process'
import { cloneOf } from '../support/snapshot'
import { until } from '../support/wait'
import type { Stage } from './stage'

/** Where a COMMIT waits that was to be slow: test/demo/sql/pause.sql. */
const GATE = 4711

const PAY = `select pglobalxact.exec($1, format('update account set balance = balance + 50 where name = %L', $2::text))`

export const ACCIDENTS: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
    'a payment': async (stage) => {
        const client = await begunPayment(stage)
        await client.query('commit')
        await client.end()
    },
    'a payment that is never committed': async (stage) => {
        await begunPayment(stage)
    },
    'two payments, one in the middle of COMMIT': async (stage) => {
        await stage.bank.run('zurich', 'pause')
        const gate = await stage.connect('zurich', 'postgres', 'gate')
        await gate.query('select pg_advisory_lock($1)', [GATE])
        await ACCIDENTS['a payment']!(stage)
        const slow = await stage.connect('zurich', 'app', 'payments')
        await slow.query("begin; select pglobalxact.exec('london', $$insert into account values ('dave', 10)$$)")
        await slow.query('insert into pause_before_commit default values')
        void slow.query('commit').catch(() => undefined)
        await somebodyWaits(stage, 'zurich', 'advisory')
    },
    "somebody wants bob's account": async (stage) => {
        const client = await stage.connect('london', 'postgres', 'teller')
        await client.query("set role app; set application_name = 'teller'")
        void client.query("update account set balance = balance where name = 'bob'").catch(() => undefined)
        await somebodyWaits(stage, 'london', 'transactionid')
    },
    'two transfers that cross': async (stage) => {
        const [first, second] = [await stage.connect('zurich', 'app', 'payments'), await stage.connect('zurich', 'app', 'payroll')]
        await first.query('begin')
        await first.query(PAY, ['london', 'bob'])
        await second.query('begin')
        await second.query(PAY, ['tokyo', 'carol'])
        endsBy(first, first.query(PAY, ['tokyo', 'carol']))
        await somebodyWaits(stage, 'tokyo', 'transactionid')
        endsBy(second, second.query(PAY, ['london', 'bob']))
        await somebodyWaits(stage, 'london', 'transactionid')
    },
    "payroll has carol's account, and will want bob's": async (stage) => {
        const client = await stage.connect('zurich', 'app', 'payroll')
        await client.query('begin')
        await client.query(PAY, ['tokyo', 'carol'])
        const taken =
            "select from pg_stat_activity where application_name like 'pgx%' and backend_xid is not null and state = 'idle in transaction'"
        const free = until('somebody else has it', async () => (await stage.bank.query('london', taken)).length > 0)
        endsBy(
            client,
            free.then(() => client.query(PAY, ['london', 'bob']))
        )
    },
    'london takes the membership back': async (stage) => {
        await stage.bank.query('london', 'revoke app from pglobalxact')
    },
    'servers that can be decoded': async ({ bank }) => {
        for (const place of ['london', 'tokyo'] as const) await bank.servers[place].configure({ wal_level: 'logical' })
        const reached = "select from pglobalxact.nodes() where reachable and fence = 'held'"
        await until('the nodes are reached', async () => (await bank.query('zurich', reached)).length === 2)
    },
    'servers that archive their WAL': async ({ bank, archived }) => {
        for (const place of PLACES) archived.set(place, await Archived.over(bank.servers[place]))
        const reached = "select from pglobalxact.nodes(), pglobalxact.status() where sidecar = 'acting' and reachable and fence = 'held'"
        await until('the nodes are reached', async () => (await bank.query('zurich', reached)).length === 2)
    },
    'a base backup of every server': ({ archived }) =>
        Promise.all([...archived.values()].map((server) => server.backUp())).then(() => undefined),
    'every server is restored to friday': async (stage) => {
        await restore(stage, PLACES)
    },
    'tokyo is restored to friday': async (stage) => {
        await restore(stage, ['tokyo'])
        const back = "select from pglobalxact.nodes() where reachable and fence = 'held'"
        await until('it is back', async () => (await stage.bank.query('zurich', back)).length === 2)
    },
    'another manager fills the slots of tokyo': async (stage) => {
        await stage.bank.servers.tokyo.configure({ max_prepared_transactions: 2 })
        const client = await stage.connect('tokyo', 'postgres', 'warehouse')
        await client.query('create role warehouse; grant warehouse to postgres; grant create on schema public to warehouse')
        for (const order of [4711, 4712]) {
            await client.query(`begin; set local role warehouse; create table order_${order} (); prepare transaction 'warehouse-${order}'`)
        }
        await until('the sidecar sees it', async () => {
            const rows = await stage.bank.query('zurich', 'select from pglobalxact.nodes() where prepared_free = 0')
            return rows.length === 1
        })
    },
    'a small disk': async (stage) => {
        await stage.bank.sidecar?.stop()
        SmallDisk.under(stage.bank.stateDir, 64)
        await stage.bank.startSidecar()
    },
    'a full disk': async (stage) => SmallDisk.at(stage.bank.stateDir).fill(),
    'room on the disk': async (stage) => SmallDisk.at(stage.bank.stateDir).free(),
    'the sidecar has written it down': ({ bank }) =>
        until('a line for it', () => bank.stateLines().some((line) => line.includes(' pending '))).then(() => undefined),
    'a damaged state line': async ({ bank }) => {
        const path = join(bank.stateDir, newestSegment(bank.stateDir))
        const lines = readFileSync(path, 'utf8').split('\n')
        writeFileSync(path, lines.map((line) => (line.includes(' pending ') ? line.replace(' pending ', ' pendong ') : line)).join('\n'))
    },
    'a copy of zurich': async (stage) => {
        const copy = await cloneOf(stage.bank.servers.zurich, 'copy')
        stage.others.push(copy)
        const sidecar = startSidecar({ stateDir: newStateDir(), databaseUrl: copy.url(stage.bank.login('pglobalxact')) })
        stage.sidecars.push(sidecar)
        await sidecar.waitForLog(/ is not allowed to act /)
    },
    'the copy loses its sidecar, and pglobalxact': async (stage) => {
        await stage.sidecars[0]?.stop()
        const { code, stderr } = await runCommand(['uninstall'], stage.others[0]!.env({ database: 'bank' }))
        if (code !== 0) throw new Error(stderr)
    },
    'an asynchronous standby, with a sidecar that may act': async (stage) => {
        const { bank } = stage
        const standby = await addStandby(bank.servers.zurich, 'standby')
        stage.others.push(standby)
        const stateDir = newStateDir()
        const beside = startSidecar({ stateDir, databaseUrl: standby.url(bank.login('pglobalxact')) })
        stage.sidecars.push(beside)
        const [, home] = / home=([0-9a-f]{16})/.exec(await beside.waitForLog(/state directory read/))!
        await beside.waitForLog(/standby/)
        await until('the sidecar acts again', async () => {
            const rows = await bank.query('zurich', "select from pglobalxact.status() where sidecar = 'acting'")
            return rows.length === 1
        })
        await bank.query('zurich', "select pglobalxact.allow_home($1, 'standby of the pair')", [home])
        await inStep(bank.servers.zurich)
    },
    'the standby falls behind': async (stage) => standbyOf(stage).stop('fast'),
    'the standby takes over': async (stage) => {
        const { bank } = stage
        const standby = standbyOf(stage)
        await stage.kill('zurich')
        await bank.sidecar?.kill()
        stage.others.push(bank.servers.zurich)
        await standby.configure({ primary_conninfo: null })
        await standby.start()
        await standby.query('select pg_promote()')
        bank.servers.zurich = standby
        bank.sidecar = stage.sidecars.at(-1)
        await bank.sidecar?.waitForLog(/ acting /)
        await bank.query('zurich', `alter server pglobalxact_loopback options (set port '${standby.port}')`)
    }
}

/** What the servers have written by now is archived first: the disaster takes none of it. */
async function restore(stage: Stage, places: readonly Place[]): Promise<void> {
    const servers = places.map((place) => stage.archived.get(place)!)
    await Promise.all(servers.map((server) => server.archived()))
    if (places.length > 1) await stage.bank.sidecar?.stop()
    await stage.hangUp(places)
    await Promise.all(servers.map((server) => server.restoreTo('friday')))
}

async function begunPayment(stage: Stage): Promise<Client> {
    const client = await stage.connect('zurich', 'app', 'payments')
    await client.query('begin')
    await client.query('select transfer(50)')
    return client
}

/** A program that commits when it got what it waits for. */
function endsBy(client: Client, statement: Promise<unknown>): void {
    const end = (how: string) => () => client.query(how).then(() => undefined)
    void statement.then(end('commit'), end('rollback')).catch(() => undefined)
}

const somebodyWaits = (stage: Stage, place: Place, locktype: string): Promise<unknown> =>
    until(
        'somebody waits for a lock',
        async () => (await stage.bank.query(place, 'select from pg_locks where locktype = $1 and not granted', [locktype])).length > 0
    )

const newestSegment = (directory: string): string =>
    readdirSync(directory)
        .filter((name) => /^state-\d+\.log$/.test(name))
        .sort()
        .at(-1)!

function standbyOf(stage: Stage): (typeof stage.others)[number] {
    const standby = stage.others.find((other) => other.name === 'standby')
    if (!standby) throw new Error('the document has no standby')
    return standby
}
