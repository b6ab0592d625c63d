import { expect } from 'chai'
import { World } from '../support/world'

const FUNCTIONS = `pg_proc p where p.pronamespace = 'pglobalxact'::regnamespace`
const RELATIONS = `pg_class c where c.relnamespace = 'pglobalxact'::regnamespace`

describe('what is installed', () => {
    let world: World

    before(async () => {
        world = await World.create({ name: 'surface', bare: true })
        await world.sql(`do $$ begin create role newcomer; exception when duplicate_object then null; end $$`)
    })
    after(() => world?.destroy())

    const names = async (text: string) => (await world.sql<{ name: string }>(text)).map(({ name }) => name)

    it('grants nothing to PUBLIC, so a new role can use none of it', async () => {
        expect(
            await names(
                `select p.oid::regprocedure::text as name from ${FUNCTIONS} and (p.proacl is null or has_function_privilege('newcomer', p.oid, 'execute'))`
            )
        ).to.deep.equal([])
        expect(
            await names(
                `select c.relname as name from ${RELATIONS} and c.relkind in ('r', 'v') and has_table_privilege('newcomer', c.oid, 'select, insert, update, delete, truncate, references, trigger')`
            )
        ).to.deep.equal([])
        expect(
            await names(
                `select c.relname as name from ${RELATIONS} and case when c.relkind = 'S' then has_sequence_privilege('newcomer', c.oid, 'usage, select, update') end`
            )
        ).to.deep.equal([])
        expect(
            await world.sql(
                `select has_schema_privilege('newcomer', 'pglobalxact', 'usage') or has_schema_privilege('newcomer', 'pglobalxact', 'create') as may`
            )
        ).to.deep.equal([{ may: false }])
        expect(await world.sql(`select has_server_privilege('newcomer', 'pglobalxact_loopback', 'usage') as may`)).to.deep.equal([
            { may: false }
        ])
    })

    it("belongs to role pglobalxact, the schema's owner, who is no superuser", async () => {
        expect(await names(`select distinct p.proowner::regrole::text as name from ${FUNCTIONS}`)).to.deep.equal(['pglobalxact'])
        expect(await names(`select distinct c.relowner::regrole::text as name from ${RELATIONS}`)).to.deep.equal(['pglobalxact'])
        expect(await world.sql(`select rolsuper from pg_roles where rolname = 'pglobalxact'`)).to.deep.equal([{ rolsuper: false }])
    })

    it('pins the search_path of every SECURITY DEFINER and every public function to what nobody else can write to', async () => {
        expect(
            await names(
                `select p.oid::regprocedure::text as name from ${FUNCTIONS} and (p.prosecdef or p.proname !~ '^_') and not coalesce('search_path=pg_catalog, pg_temp' = any (p.proconfig), false)`
            )
        ).to.deep.equal([])
        expect((await names(`select p.proname as name from ${FUNCTIONS} and p.prosecdef`)).length).to.be.greaterThan(20)
    })

    it('leaves SECURITY DEFINER functions no unqualified name that a temporary object could take', async () => {
        // Without pg_temp in search_path, temporary tables would even come before pg_catalog's.
        const app = await world.connect()
        await app.query(
            `create temp table commit_record (n int); create temp table coordinator (id text); create temp view pg_locks as select 1 as n`
        )
        expect((await app.query('select pglobalxact.set_id() as id')).rows).to.deep.equal([{ id: null }])
        expect((await app.query(`select pglobalxact.outcome('1_00000000') as o`)).rows).to.deep.equal([{ o: 'unknown' }])
    })

    it('has a COMMENT on the schema, every function, table and view, for \\dn+, \\df+, \\dt+ and \\dv+', async () => {
        expect(
            await names(
                `select p.oid::regprocedure::text as name from ${FUNCTIONS} and coalesce(obj_description(p.oid, 'pg_proc'), '') !~ '^.{20,}\\.$'`
            )
        ).to.deep.equal([])
        expect(
            await names(
                `select c.relname as name from ${RELATIONS} and c.relkind in ('r', 'v') and coalesce(obj_description(c.oid, 'pg_class'), '') !~ '^.{20,}\\.$'`
            )
        ).to.deep.equal([])
        expect(
            await names(`select 'schema' as name where obj_description('pglobalxact'::regnamespace, 'pg_namespace') is null`)
        ).to.deep.equal([])
    })

    it('tells internal functions from public ones by name and COMMENT', async () => {
        expect(
            await names(
                `select p.proname as name from ${FUNCTIONS} and (p.proname ~ '^_') is distinct from (obj_description(p.oid, 'pg_proc') ~ '^Internal\\.')`
            )
        ).to.deep.equal([])
    })

    it('names every constraint itself', async () => {
        expect(
            await names(`select k.conname as name from pg_constraint k where k.connamespace = 'pglobalxact'::regnamespace and k.contype in ('c', 'p', 'u', 'f')
      and k.conname ~ '_(pkey|key|check|fkey)[0-9]*$' and k.conrelid <> 'pglobalxact.migrations'::regclass order by 1`)
        ).to.deep.equal([])
    })

    it('holds no password in a table', async () => {
        expect(
            await names(
                `select table_name || '.' || column_name as name from information_schema.columns where table_schema = 'pglobalxact' and column_name ~ 'pass|secret|conn(info|string)'`
            )
        ).to.deep.equal([])
    })
})
