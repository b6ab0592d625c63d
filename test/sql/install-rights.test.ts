import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { startCluster, type Cluster } from '../support/cluster'
import { runCommand, startSidecar } from '../support/process'
import { value } from '../support/refused'
import { workDir } from '../support/workdir'

const PASSWORD = 'installer-secret-1'

describe('install by a role that is no superuser', () => {
    let cluster: Cluster

    before(async () => {
        cluster = await startCluster({ name: 'rights' })
        await cluster.query(`create role "Installer" login password '${PASSWORD}'`)
    })
    after(() => cluster.destroy())

    const run = (database: string, command: 'install' | 'uninstall' = 'install') =>
        runCommand([command], cluster.env({ database, user: 'Installer', password: PASSWORD }))
    /** What the message tells somebody to type. */
    const advice = (stderr: string) => [...stderr.matchAll(/^ {4}as [^:]+: (.+;)/gm)].map((match) => match[1]!)
    const state = () =>
        cluster.query(
            `select (select string_agg(rolname, ',' order by 1) from pg_roles where rolname like 'pglobalxact%') as roles,
    (select count(*)::int from pg_namespace where nspname = 'pglobalxact') as schemas, (select count(*)::int from pg_extension where extname = 'dblink') as dblinks`,
            [],
            'shop'
        )

    it('is told all that is missing at once, and nothing is changed', async () => {
        await cluster.createDatabase('shop')
        const before = await state()
        const { code, stdout, stderr } = await run('shop')
        expect({ code, stdout }).to.deep.equal({ code: 2, stdout: '' })
        expect(stderr).to.match(
            /^pglobalxact: role "Installer" cannot install pglobalxact here, nothing was changed\n {2}hint: Needed first:\n/
        )
        expect(advice(stderr)).to.deep.equal([
            'CREATE EXTENSION dblink; GRANT EXECUTE ON FUNCTION dblink_connect_u(text, text) TO "Installer" WITH GRANT OPTION; GRANT USAGE ON FOREIGN DATA WRAPPER dblink_fdw TO "Installer" WITH GRANT OPTION;',
            'ALTER ROLE "Installer" CREATEROLE;',
            'GRANT CREATE ON DATABASE "shop" TO "Installer";'
        ])
        expect(stderr).to.contain('(missing roles: pglobalxact, pglobalxact_user, pglobalxact_monitor, pglobalxact_admin)')
        expect(await state()).to.deep.equal(before)
    })

    it('is told each single thing that is missing', async () => {
        await cluster.query(
            `create extension dblink; grant create on database shop to "Installer"; alter role "Installer" createrole;
      grant execute on function dblink_connect_u(text, text) to "Installer" with grant option; grant usage on foreign data wrapper dblink_fdw to "Installer" with grant option`,
            [],
            'shop'
        )
        for (const [take, give] of [
            ['revoke create on database shop from "Installer"', 'GRANT CREATE ON DATABASE "shop" TO "Installer";'],
            ['alter role "Installer" nocreaterole', 'ALTER ROLE "Installer" CREATEROLE;'],
            [
                'revoke grant option for execute on function dblink_connect_u(text, text) from "Installer"',
                'GRANT EXECUTE ON FUNCTION public.dblink_connect_u(text, text) TO "Installer" WITH GRANT OPTION;'
            ],
            [
                'revoke usage on foreign data wrapper dblink_fdw from "Installer"',
                'GRANT USAGE ON FOREIGN DATA WRAPPER dblink_fdw TO "Installer" WITH GRANT OPTION;'
            ]
        ] as const) {
            await cluster.query(take, [], 'shop')
            const before = await state()
            const { code, stderr } = await run('shop')
            expect(code).to.equal(2)
            expect(advice(stderr), take).to.deep.equal([give])
            expect(await state()).to.deep.equal(before)
            await cluster.query(give, [], 'shop')
        }
    })

    it('installs once that advice is followed, is told what a superuser should add, and can install again and uninstall', async () => {
        const { code, stdout, stderr } = await run('shop')
        expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' })
        // Before 16 CREATEROLE is enough to grant it.
        if (cluster.versionNum >= 160000)
            expect(stdout).to.contain(
                'warning: could not grant pg_read_all_stats to pglobalxact. Ask a superuser to run: GRANT pg_read_all_stats TO pglobalxact;'
            )
        expect(stdout).to.contain('pglobalxact is installed in database "shop"')
        expect(await run('shop')).to.include({ code: 0, stderr: '' })
        expect(await run('shop', 'uninstall')).to.include({ code: 0, stderr: '' })
        expect(await run('shop')).to.include({ code: 0, stderr: '' })
    })

    it('has then installed what works: a set commits on a node', async () => {
        await cluster.createDatabase('far')
        await cluster.query(
            `create role keeper login password 'k-1'; create role clerk login password 'c-1'; grant clerk to keeper; create table box (n int); grant all on box to clerk`,
            [],
            'far'
        )
        await cluster.query(
            `alter role pglobalxact password 'p-1'; create role teller login password 't-1'; grant pglobalxact_user to teller; grant pglobalxact_admin to teller;
      create server far foreign data wrapper dblink_fdw options (host '127.0.0.1', port '${cluster.port}', dbname 'far');
      grant usage on foreign server far to teller, pglobalxact;
      create user mapping for teller server far options (user 'clerk', password 'c-1'); create user mapping for pglobalxact server far options (user 'keeper', password 'k-1')`,
            [],
            'shop'
        )
        const sidecar = startSidecar({
            stateDir: mkdtempSync(join(workDir(), 'st-')),
            databaseUrl: cluster.url({ database: 'shop', user: 'pglobalxact', password: 'p-1' }),
            args: ['--scan-interval', '200']
        })
        const teller = await cluster.connect({ database: 'shop', user: 'teller', password: 't-1' })
        try {
            await sidecar.waitForLog(/ acting /)
            const { rows } = await teller.query(`select item from pglobalxact.add_node('far') where not ok`)
            expect(rows.filter(({ item }) => item !== 'connect timeout')).to.deep.equal([])
            expect(await value(teller, `select pglobalxact.exec('far', 'insert into box values (7)')`)).to.equal('INSERT 0 1')
            expect(await value(teller, 'select pglobalxact.await()')).to.equal('committed')
            expect(await cluster.query('select n from box', [], 'far')).to.deep.equal([{ n: 7 }])
            // Without pg_read_all_stats too, a set in flight is shown, and its remote work is not taken for abandoned.
            await teller.query('begin')
            await teller.query(`select pglobalxact.exec('far', 'insert into box values (8)')`)
            for (let look = 0; look < 2; look++)
                expect(await cluster.query(`select result from pglobalxact.recover()`, [], 'shop')).to.deep.equal([{ result: 'ok' }])
            expect(await cluster.query(`select outcome, nodes from pglobalxact.sets()`, [], 'shop')).to.deep.equal([
                { outcome: 'in progress', nodes: 1 }
            ])
            await teller.query('commit')
            expect(await value(teller, 'select pglobalxact.await()')).to.equal('committed')
        } finally {
            await teller.end()
            await sidecar.stop()
        }
    })

    it('cannot take over what a superuser has installed, and is told what that needs', async () => {
        await cluster.createDatabase('other')
        await cluster.query(`create role second login createrole password 's-1'`)
        expect(await runCommand(['install'], cluster.env({ database: 'other' }))).to.include({ code: 0 })
        await cluster.query(
            `grant create on database other to second; grant execute on function dblink_connect_u(text, text) to second with grant option;
      grant usage on foreign data wrapper dblink_fdw to second with grant option`,
            [],
            'other'
        )
        const again = () => runCommand(['install'], cluster.env({ database: 'other', user: 'second', password: 's-1' }))
        const { code, stderr } = await again()
        expect(code).to.equal(2)
        const needed = advice(stderr)
        expect(needed.at(-1)).to.equal('ALTER SERVER pglobalxact_loopback OWNER TO "second";')
        for (const command of needed) await cluster.query(command, [], 'other')
        const result = await again()
        expect(result, result.stderr).to.include({ code: 0, stderr: '' })
    })

    it('is told when it is the wrong server or the wrong password, and sees no secret', async () => {
        const wrong = await runCommand(['install'], cluster.env({ database: 'shop', user: 'Installer', password: 'nonsense-secret' }))
        expect(wrong).to.include({ code: 2, stdout: '' })
        expect(wrong.stderr).to.match(
            /^pglobalxact: cannot connect to the database: password authentication failed for user "Installer"\n {2}hint: Give it by --database-url, DATABASE_URL or the PG\* variables\.\n$/
        )
        const missing = await runCommand(['install'], cluster.env({ database: 'nowhere' }))
        expect(missing).to.include({ code: 2 })
        expect(missing.stderr).to.match(/database "nowhere" does not exist/)
        const url = await runCommand(['install', '--database-url', 'postgresql://u:url-secret@127.0.0.1:1/x'])
        expect(url).to.include({ code: 2 })
        expect(url.stderr).to.match(/^pglobalxact: cannot connect to the database: connection refused by /)
        expect(wrong.stderr + missing.stderr + url.stderr).not.to.match(/secret/)
    })

    it('is told when the server is a standby', async () => {
        await cluster.stop()
        const standby = await startCluster({ name: 'standby', copyOf: cluster, standby: true })
        await cluster.start()
        const { code, stderr } = await runCommand(['install'], standby.env({ database: 'shop' }))
        expect({ code, stderr }).to.deep.equal({
            code: 2,
            stderr: 'pglobalxact: this server is a standby\n  hint: Install on the primary.\n'
        })
        await standby.destroy()
    })
})
