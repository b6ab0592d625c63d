import { expect } from 'chai'
import { refused } from '../support/refused'
import { World } from '../support/world'

/** Who may call what: the whole surface. A function that is new must be entered here. */
const CALLS: Readonly<Record<string, { readonly call: string; readonly app?: true; readonly dba?: true; readonly watcher?: true }>> = {
    exec: { call: `exec('b', 'update account set balance = 1')`, app: true },
    query: { call: `query('b', 'select 1') as t (n int)`, app: true },
    enlist: { call: `enlist('b')`, app: true },
    set_id: { call: 'set_id()', app: true },
    await: { call: `await('1_00000000')`, app: true },
    outcome: { call: `outcome('1_00000000')`, app: true, dba: true, watcher: true },
    sets: { call: 'sets()', dba: true, watcher: true },
    branches: { call: 'branches()', dba: true, watcher: true },
    nodes: { call: 'nodes()', dba: true, watcher: true },
    prepared: { call: 'prepared()', dba: true, watcher: true },
    history: { call: 'history()', dba: true, watcher: true },
    consumers: { call: 'consumers()', dba: true, watcher: true },
    next_events: { call: `next_events('nobody')`, dba: true, watcher: true },
    finish_events: { call: `finish_events('nobody')`, dba: true, watcher: true },
    events: { call: `events(pg_current_snapshot())`, dba: true, watcher: true },
    add_consumer: { call: `add_consumer('')`, dba: true },
    remove_consumer: { call: `remove_consumer('nobody')`, dba: true },
    set_number: { call: `set_number('1_00000000')`, app: true, dba: true, watcher: true },
    set_clock: { call: `set_clock('1_00000000')`, app: true, dba: true, watcher: true },
    observe_clock: { call: 'observe_clock(null)', app: true },
    keep_clock: { call: `keep_clock('0')`, dba: true },
    stop_clock: { call: 'stop_clock()', dba: true },
    requests: { call: 'requests()', dba: true, watcher: true },
    status: { call: 'status()', dba: true, watcher: true },
    state_lines: { call: 'state_lines()', dba: true, watcher: true },
    lock_waits: { call: 'lock_waits()', dba: true, watcher: true },
    deadlocks: { call: 'deadlocks()', dba: true, watcher: true },
    deadlock_dot: { call: 'deadlock_dot()', dba: true, watcher: true },
    detect_deadlocks: { call: `detect_deadlocks('now')`, dba: true },
    check_node: { call: `check_node('b')`, dba: true, watcher: true },
    verify: { call: 'verify(batch => 0)', dba: true, watcher: true },
    audits: { call: 'audits()', dba: true, watcher: true },
    drill: { call: `drill('no fault', 'nowhere')`, dba: true },
    drills: { call: 'drills()', dba: true, watcher: true },
    doctor: { call: 'doctor()', dba: true, watcher: true },
    add_node: { call: `add_node('nowhere')`, dba: true },
    remove_node: { call: `remove_node('nowhere')`, dba: true },
    recover: { call: 'recover()', dba: true },
    retry: { call: `retry('1_00000000')`, dba: true },
    force_commit: { call: `force_commit('1_00000000', reason => 'x')`, dba: true },
    force_rollback: { call: `force_rollback('1_00000000', reason => 'x')`, dba: true },
    lose_node: { call: `lose_node('nowhere')`, dba: true },
    forget: { call: `forget('1_00000000')`, dba: true },
    acknowledge: { call: `acknowledge('1_00000000', 'x')`, dba: true },
    adopt: { call: `adopt('x')`, dba: true },
    allow_home: { call: `allow_home('x', 'x')`, dba: true },
    pause: { call: `pause('')`, dba: true },
    resume: { call: 'resume()', dba: true },
    drain: { call: 'drain(null)', dba: true },
    export_snapshots: { call: `export_snapshots('{nowhere}')`, dba: true },
    release_snapshots: { call: 'release_snapshots(0)', dba: true },
    create_restore_point: { call: `create_restore_point('')`, dba: true },
    restore_points: { call: 'restore_points()', dba: true, watcher: true },
    committed_after: { call: `committed_after('{}')`, dba: true, watcher: true },
    reconcile: { call: `reconcile('{}')`, dba: true },
    watch_node: { call: `watch_node('nowhere')`, dba: true },
    unwatch_node: { call: `unwatch_node('nowhere')`, dba: true },
    watched: { call: 'watched()', dba: true, watcher: true },
    feed: { call: 'feed()', dba: true, watcher: true },
    changes: { call: `changes('1_00000000')`, dba: true },
    repair_sql: { call: `repair_sql('1_00000000')`, dba: true }
}

describe('the roles', () => {
    let world: World

    before(async () => {
        world = await World.create({ name: 'roles' })
        await world.sql(`do $$ begin create role passer_by login password 'passer-by-3'; exception when duplicate_object then null; end $$`)
    })
    after(() => world?.destroy())

    async function attempt(user: 'app' | 'dba' | 'watcher' | 'passer_by', sql: string): Promise<unknown> {
        const login = user === 'passer_by' ? { database: world.database, user, password: 'passer-by-3' } : world.login(user)
        const client = await world.coordinator.connect(login)
        try {
            await client.query('begin')
            return await client.query(sql)
        } finally {
            await client.end()
        }
    }

    it('are known for every function there is', async () => {
        const there = await world.sql<{ name: string }>(
            `select distinct proname as name from pg_proc where pronamespace = 'pglobalxact'::regnamespace and proname !~ '^_' order by 1`
        )
        expect(there.map(({ name }) => name)).to.deep.equal(Object.keys(CALLS).sort())
    })

    for (const user of ['app', 'dba', 'watcher'] as const) {
        const role = { app: 'pglobalxact_user', dba: 'pglobalxact_admin', watcher: 'pglobalxact_monitor' }[user]
        it(`${role} may call its functions, and gets "permission denied" from all others, which change nothing`, async () => {
            const before = await world.sql('select max(id) from pglobalxact.request')
            for (const [name, { call, [user]: allowed }] of Object.entries(CALLS)) {
                const answer = attempt(user, `select * from pglobalxact.${call}`)
                if (!allowed) await refused(answer, { code: '42501', message: new RegExp(`^permission denied for function ${name}$`) })
                else
                    await answer.catch((error: { code: string; message: string }) =>
                        expect(error.code, `${name}: ${error.message}`).to.be.oneOf(['22023', '42704', '55000'])
                    )
            }
            if (user === 'app') expect(await world.sql('select max(id) from pglobalxact.request')).to.deep.equal(before)
            expect(await world.balances()).to.deep.equal({ a: 1000, b: 1000, c: 1000 })
        })
    }

    it('a login without any of them sees and calls nothing', async () => {
        for (const { call } of Object.values(CALLS)) {
            await refused(attempt('passer_by', `select * from pglobalxact.${call}`), {
                code: '42501',
                message: /^permission denied for schema pglobalxact$/
            })
        }
    })

    it('none of them reads or writes a table, or calls an internal function that decides anything', async () => {
        const { rows: tables } = {
            rows: await world.sql<{ name: string }>(
                `select relname as name from pg_class where relnamespace = 'pglobalxact'::regnamespace and relkind in ('r', 'S')`
            )
        }
        expect(tables.length).to.be.greaterThan(8)
        for (const user of ['app', 'dba', 'watcher', 'passer_by'] as const) {
            const rights =
                await world.sql(`select c.relname from pg_class c where c.relnamespace = 'pglobalxact'::regnamespace and c.relkind = 'r'
        and has_table_privilege('${user}', c.oid, 'select, insert, update, delete, truncate, references, trigger')`)
            expect(rights, user).to.deep.equal([])
            const internal = await world.sql<{
                name: string
            }>(`select p.proname as name from pg_proc p where p.pronamespace = 'pglobalxact'::regnamespace and p.proname ~ '^_'
        and p.prosecdef and has_function_privilege('${user}', p.oid, 'execute') order by 1`)
            // What a program's session needs to open a branch of its own transaction, and no more.
            const needed = user === 'app' ? ['_connection_name', '_join_set', '_session_name'] : []
            expect(
                internal.map(({ name }) => name),
                user
            ).to.deep.equal(needed)
        }
    })

    it('nobody can pretend a set in flight with an advisory lock, though any role can take one', async () => {
        const passerBy = await world.coordinator.connect({ database: world.database, user: 'passer_by', password: 'passer-by-3' })
        const app = await world.connect()
        try {
            for (const session of [passerBy, app]) {
                await session.query(
                    `begin; select pg_advisory_xact_lock_shared(x'70677831'::int, number) from generate_series(1, 2) number`
                )
                await session.query('select pg_current_xact_id()')
            }
            expect(await world.sql('select pid from pglobalxact.in_flight')).to.deep.equal([])
            expect(await world.sql('select set_id from pglobalxact.sets()')).to.deep.equal([])
            await app.query(`select pglobalxact.exec('b', 'update account set balance = balance')`)
            expect(await world.sql('select role from pglobalxact.in_flight where set_id is not null group by role')).to.deep.equal([
                { role: 'app' }
            ])
        } finally {
            await passerBy.end()
            await app.query('rollback')
        }
    })

    it('a program cannot plant a commit record for another transaction, nor take one away', async () => {
        for (const sql of [
            `insert into pglobalxact.commit_record (xid, nonce, application_name) values ('1', '00000000', '')`,
            'delete from pglobalxact.commit_record',
            'delete from pglobalxact.branch_record'
        ]) {
            await refused(attempt('app', sql), { code: '42501', message: /^permission denied for table (commit|branch)_record$/ })
            await refused(attempt('dba', sql), { code: '42501', message: /^permission denied for table (commit|branch)_record$/ })
        }
    })
})
