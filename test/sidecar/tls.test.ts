import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { binaries } from '../support/binaries'
import { startCluster, type Cluster } from '../support/cluster'
import { refused } from '../support/refused'
import { until } from '../support/wait'
import { serverAccount, workDir } from '../support/workdir'
import { World } from '../support/world'
import { addRow } from './common'

/** A self-signed certificate, which is its own root, and its key, readable by the server. */
function certificate(directory: string, name: string, alternatives: string): { readonly cert: string; readonly key: string } {
    const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)]
    execFileSync(
        'openssl',
        [
            'req',
            '-x509',
            '-newkey',
            'ec',
            '-pkeyopt',
            'ec_paramgen_curve:prime256v1',
            '-nodes',
            '-days',
            '2',
            '-subj',
            `/CN=${name}`,
            '-addext',
            `subjectAltName=${alternatives}`,
            '-keyout',
            key,
            '-out',
            cert
        ],
        { stdio: 'ignore' }
    )
    const account = serverAccount()
    if (account) chownSync(key, account.uid, account.gid)
    chmodSync(key, 0o600)
    chmodSync(cert, 0o644)
    return { cert, key }
}

describe('TLS to a node', () => {
    let tls: Cluster
    let world: World
    let server: { readonly cert: string; readonly key: string }
    let elsewhere: { readonly cert: string; readonly key: string }
    before(async function () {
        if (spawnSync('openssl', ['version']).status !== 0) {
            console.error('    SKIPPED, nothing is proved: openssl is not installed')
            return this.skip()
        }
        const directory = mkdtempSync(join(workDir(), 'tls-'))
        chmodSync(directory, 0o755)
        server = certificate(directory, 'server', 'IP:127.0.0.1,DNS:localhost')
        elsewhere = certificate(directory, 'elsewhere', 'DNS:elsewhere.example,IP:10.1.1.1')
        tls = await startCluster({ name: 'tls', settings: { ssl: 'on', ssl_cert_file: server.cert, ssl_key_file: server.key } })
        world = await World.create({ name: 'tls', nodes: ['b', 'c'], clusters: { b: tls } })
    })
    after(async () => {
        await world?.destroy()
        await tls?.destroy()
    })

    const reached = async (): Promise<{ ok: boolean; detail: string }> =>
        (await world.admin<{ ok: boolean; detail: string }>("select ok, detail from pglobalxact.check_node('b')"))[0]!

    /** Sets the node's server options anew, beside port and dbname. */
    async function options(more: Readonly<Record<string, string>>): Promise<void> {
        const all = { host: '127.0.0.1', port: String(tls.port), dbname: world.database, ...more }
        await world.sql(`do $$ declare o text; begin
            for o in select split_part(unnest(srvoptions), '=', 1) from pg_foreign_server where srvname = 'b' loop execute format('alter server b options (drop %I)', o); end loop; end $$;
            alter server b options (${Object.entries(all)
                .map(([name, value]) => `add ${name} '${value}'`)
                .join(', ')})`)
        await reached()
    }

    /** Whether the sidecar's own sessions there are encrypted; one kind only. */
    async function encrypted(): Promise<boolean> {
        const rows = await until('the sidecar has a session there', async () => {
            const found = await world.node<{ ssl: boolean }>(
                'b',
                "select distinct s.ssl from pg_stat_ssl s join pg_stat_activity a using (pid) where a.application_name ~ '_sidecar_' and a.datname = current_database()"
            )
            return found.length > 0 && found
        })
        expect(rows).to.have.lengthOf(1)
        return rows[0]!.ssl
    }

    async function works(): Promise<void> {
        const client = await world.connect()
        await addRow(world, client)
        await client.query("select pglobalxact.await(timeout => '5 seconds')")
    }

    it('is used where it is to be had, unless sslmode says otherwise', async () => {
        expect(await encrypted()).to.equal(true)
        await options({ sslmode: 'disable' })
        expect(await reached()).to.include({ ok: true })
        expect(await encrypted()).to.equal(false)
        await works()
    })

    for (const [mode, more] of [
        ['require', {}],
        ['verify-ca', { sslrootcert: 'server' }],
        ['verify-full', { sslrootcert: 'server' }],
        ['verify-full', { sslrootcert: 'server', host: 'localhost' }],
        ['verify-full', { sslrootcert: 'server', host: 'localhost', hostaddr: '127.0.0.1' }]
    ] as const) {
        it(`sslmode=${mode} with ${JSON.stringify(more)} works, and commits go through it`, async () => {
            await options({ ...more, sslmode: mode, ...('sslrootcert' in more ? { sslrootcert: server.cert } : {}) })
            expect(await reached()).to.include({ ok: true })
            expect(await encrypted()).to.equal(true)
            // Before PostgreSQL 15 libpq, and so dblink, does not look for an address among a certificate's alternative names.
            const byAddress = mode === 'verify-full' && !('host' in more)
            if (byAddress && (await binaries()).major < 15)
                await refused(works(), { code: '08001', message: /^cannot connect to node "b"/ })
            else await works()
        })
    }

    for (const [what, more, message] of [
        ['verify-ca with another root', { sslmode: 'verify-ca', sslrootcert: 'elsewhere' }, /certificate/],
        ['require with another root', { sslmode: 'require', sslrootcert: 'elsewhere' }, /certificate/],
        ['verify-full without a root', { sslmode: 'verify-full' }, /certificate/],
        ['a root that is not there', { sslmode: 'verify-full', sslrootcert: 'missing' }, /ENOENT/],
        ['a root that is none', { sslmode: 'verify-full', sslrootcert: 'key' }, /./],
        ['an sslmode that is none', { sslmode: 'paranoid' }, /sslmode "paranoid" is not known/]
    ] as const) {
        it(`${what} is refused, and told`, async () => {
            const files = { elsewhere: elsewhere.cert, missing: '/nowhere/root.crt', key: server.key }
            await options({ sslmode: more.sslmode, ...('sslrootcert' in more ? { sslrootcert: files[more.sslrootcert] } : {}) })
            const found = await reached()
            expect(found.ok).to.equal(false)
            expect(found.detail).to.match(message)
        })
    }

    it("verify-full refuses a server that has another's name, verify-ca takes it", async () => {
        await tls.configure({ ssl_cert_file: elsewhere.cert, ssl_key_file: elsewhere.key })
        for (const host of ['127.0.0.1', 'localhost']) {
            await options({ host, sslmode: 'verify-full', sslrootcert: elsewhere.cert })
            const found = await reached()
            expect(found, host).to.include({ ok: false })
            expect(found.detail).to.match(/does not match certificate|altnames/)
            await options({ host, sslmode: 'verify-ca', sslrootcert: elsewhere.cert })
            expect(await reached(), host).to.include({ ok: true })
        }
        await works()
    })

    it('sslmode=require refuses a server without TLS, prefer takes it', async () => {
        await tls.configure({ ssl: 'off' })
        await options({ sslmode: 'require' })
        expect(await reached()).to.deep.equal({ ok: false, detail: 'cannot be reached: The server does not support SSL connections' })
        await options({ sslmode: 'prefer' })
        expect(await reached()).to.include({ ok: true })
        expect(await encrypted()).to.equal(false)
        await works()
    })

    it("puts nothing but log lines on the sidecar's standard error", () => {
        for (const line of world.sidecar!.logs) expect(line).to.match(/^\d{4}-\d\d-\d\dT\S+ (info|warning|error) /)
    })
})
