import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Client, type ClientConfig } from 'pg'
import { readAddress, type NodeRow } from '../../sidecar/nodeoptions'

const MAPPING = ['user=node_sidecar', 'password=s3cret/=?@ü']

/** A node's address, its targets read: or the fault that keeps them from being read. */
function address(server: readonly string[] | null, mapping: readonly string[] | null = MAPPING) {
    const found = readAddress({
        number: 1,
        name: 'b',
        server_options: server,
        mapping_options: mapping,
        active: true,
        lost: false
    } satisfies NodeRow)
    try {
        return { ...found, targets: found.targets(), fault: undefined }
    } catch (error) {
        return { ...found, targets: [], fault: (error as Error).message }
    }
}

const hosts = ({ targets }: { readonly targets: readonly ClientConfig[] }): string[] =>
    targets.map((target) => `${target.host}:${target.port} ${target.ssl === false ? 'plain' : 'tls'}`)
const secretOf = (target: ClientConfig): unknown => (typeof target.password === 'function' ? target.password() : target.password)

describe('the address of a node', () => {
    it('is made of the options of the foreign server and of the user mapping', () => {
        const { targets, uri, fault, number, name, active, lost } = address([
            'host=db.example',
            'port=6543',
            'dbname=bank',
            'sslmode=disable'
        ])
        expect({ number, name, active, lost, fault, uri }).to.deep.equal({
            number: 1,
            name: 'b',
            active: true,
            lost: false,
            fault: undefined,
            uri: 'postgresql://node_sidecar@db.example:6543/bank'
        })
        expect(targets).to.have.lengthOf(1)
        expect(targets[0]).to.include({ host: 'db.example', port: 6543, database: 'bank', user: 'node_sidecar', ssl: false })
        expect(secretOf(targets[0]!)).to.equal('s3cret/=?@ü')
    })

    it("has libpq's defaults: localhost, 5432, a database called as the user, TLS where it is to be had", () => {
        const found = address([], ['user=app'])
        expect(hosts(found)).to.deep.equal(['localhost:5432 tls', 'localhost:5432 plain'])
        expect(found.targets[0]).to.include({ database: 'app', user: 'app' })
        expect(found.uri).to.equal('postgresql://app@localhost:5432/app')
    })

    it('lets the user mapping speak over the server', () => {
        expect(address(['host=a', 'user=other', 'dbname=d'], ['user=mine']).targets[0]).to.include({ user: 'mine', database: 'd' })
    })

    it('takes a value with = in it whole', () => {
        expect(secretOf(address(['host=a'], ['user=u', 'password=a=b=']).targets[0]!)).to.equal('a=b=')
    })

    it('tries hosts in their order, each with its port', () => {
        expect(hosts(address(['host=a,b,c', 'port=1,2,3', 'sslmode=disable']))).to.deep.equal(['a:1 plain', 'b:2 plain', 'c:3 plain'])
        expect(hosts(address(['host=a,b', 'port=7', 'sslmode=disable']))).to.deep.equal(['a:7 plain', 'b:7 plain'])
        expect(hosts(address(['host=a,b', 'port=,2', 'sslmode=disable']))).to.deep.equal(['a:5432 plain', 'b:2 plain'])
        expect(hosts(address(['host=a,b', 'port=1,2', 'sslmode=prefer']))).to.deep.equal(['a:1 tls', 'a:1 plain', 'b:2 tls', 'b:2 plain'])
    })

    it('connects to hostaddr and verifies the name in host', () => {
        const { targets, uri } = address(['host=one.example,two.example', 'hostaddr=10.0.0.1,10.0.0.2', 'sslmode=verify-full'])
        expect(targets.map((target) => [target.host, (target.ssl as { servername?: string }).servername])).to.deep.equal([
            ['10.0.0.1', 'one.example'],
            ['10.0.0.2', 'two.example']
        ])
        expect(uri).to.contain('one.example')
    })

    it('takes a directory for that of a Unix socket', () => {
        expect(address(['host=/run/postgresql', 'sslmode=disable']).targets[0]).to.include({ host: '/run/postgresql' })
    })

    for (const [mode, expected] of [
        ['disable', ['plain']],
        ['allow', ['plain', 'tls']],
        ['prefer', ['tls', 'plain']],
        ['require', ['tls']],
        ['verify-ca', ['tls']],
        ['verify-full', ['tls']]
    ] as const) {
        it(`with sslmode=${mode} tries ${expected.join(', then ')}`, () => {
            expect(address(['host=h', `sslmode=${mode}`]).targets.map((target) => (target.ssl === false ? 'plain' : 'tls'))).to.deep.equal(
                expected
            )
        })
    }

    it('verifies exactly what each sslmode asks for', () => {
        const tls = (mode: string, ...more: string[]) => {
            const { ssl } = address(['host=h.example', `sslmode=${mode}`, ...more]).targets.find((target) => target.ssl !== false)!
            const { rejectUnauthorized = true, checkServerIdentity } = ssl as {
                rejectUnauthorized?: boolean
                checkServerIdentity?: unknown
            }
            return { certificate: rejectUnauthorized, name: rejectUnauthorized && checkServerIdentity === undefined }
        }
        for (const mode of ['allow', 'prefer', 'require']) expect(tls(mode), mode).to.deep.equal({ certificate: false, name: false })
        expect(tls('verify-ca')).to.deep.equal({ certificate: true, name: false })
        expect(tls('verify-full')).to.deep.equal({ certificate: true, name: true })
    })

    it('reads certificate files, with which "require" verifies the certificate as libpq does', async () => {
        const directory = await mkdtemp(join(tmpdir(), 'pgx-tls-'))
        for (const file of ['ca', 'cert', 'key']) await writeFile(join(directory, file), file)
        const { targets } = address([
            'host=h',
            'sslmode=require',
            ...[
                ['sslrootcert', 'ca'],
                ['sslcert', 'cert'],
                ['sslkey', 'key']
            ].map(([o, f]) => `${o}=${join(directory, f!)}`)
        ])
        const ssl = targets[0]!.ssl as { ca: Buffer; cert: Buffer; key: Buffer; rejectUnauthorized?: boolean }
        expect([ssl.ca, ssl.cert, ssl.key].map(String)).to.deep.equal(['ca', 'cert', 'key'])
        expect(ssl.rejectUnauthorized).to.equal(undefined)
        await rm(directory, { recursive: true })
    })

    it('reads certificate files anew each time: a renewed or late one is picked up', async () => {
        const directory = await mkdtemp(join(tmpdir(), 'pgx-tls-'))
        const found = readAddress({
            number: 1,
            name: 'b',
            server_options: ['sslmode=require', `sslrootcert=${join(directory, 'ca')}`],
            mapping_options: MAPPING,
            active: true,
            lost: false
        })
        const root = (): string => String((found.targets()[0]!.ssl as { ca: Buffer }).ca)
        expect(root).to.throw(/ENOENT/)
        for (const text of ['one', 'two']) {
            await writeFile(join(directory, 'ca'), text)
            expect(root()).to.equal(text)
        }
        await rm(directory, { recursive: true })
    })

    const faulty = [
        ['its server was dropped', address(null), 'foreign server "b" does not exist'],
        [
            'the sidecar has no user mapping',
            address(['host=h'], null),
            'role pglobalxact has no user mapping for server "b", or no USAGE on it'
        ],
        [
            'the user mapping names no user',
            address(['host=h'], ['password=x']),
            'the user mapping of role pglobalxact for server "b" names no user'
        ],
        ['its sslmode is none', address(['sslmode=maybe']), 'sslmode "maybe" is not known'],
        ['a certificate file is missing', address(['sslmode=require', 'sslrootcert=/nowhere/ca.pem']), /ENOENT.*nowhere\/ca\.pem/]
    ] as const
    for (const [what, found, message] of faulty) {
        it(`says what is wrong when ${what}, and has nothing to try`, () => {
            expect(found.targets).to.deep.equal([])
            expect(found.fault).to.match(typeof message === 'string' ? new RegExp(`^${message.replace(/[()]/g, '\\$&')}$`) : message)
        })
    }

    it('never has the password in what goes to logs, state files and tables', () => {
        const server = ['host=h', 'dbname=d', 'passfile=/x', 'sslpassword=s3cret']
        const { uri, fault, name } = address(server)
        const broken = address([...server, 'sslmode=bad'])
        for (const text of [uri, fault ?? '', name, broken.uri, broken.fault ?? '']) expect(text).to.not.contain('s3cret')
    })

    it('keeps one line and plain characters in the uri, whatever the options hold', () => {
        const { uri } = address(['host=h ost\n', 'dbname=b ank/ü?', 'port=1'], ['user=a@b:c', 'password=x'])
        expect(uri).to.match(/^[!-~]+$/)
        expect(decodeURIComponent(new URL(uri.replace(/h%20ost%0A/, 'host')).username)).to.equal('a@b:c')
    })

    it("never gives a node the coordinator's password or user from the environment", () => {
        const before = { ...process.env }
        Object.assign(process.env, { PGPASSWORD: 'coordinator-secret', PGUSER: 'coordinator-user', PGDATABASE: 'coordinator-db' })
        try {
            const client = new Client(address(['host=h', 'sslmode=disable'], ['user=u']).targets[0])
            expect([client.user, client.database]).to.deep.equal(['u', 'u'])
            const password: unknown = Reflect.get(client, 'password')
            expect(typeof password === 'function' ? (password as () => unknown)() : password).to.equal('')
        } finally {
            process.env = before
        }
    })
})
