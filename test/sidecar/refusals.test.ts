import { chmodSync, chownSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { segmentName } from '../../sidecar/replay'
import { formatLine } from '../../sidecar/statelines'
import { runCommand } from '../support/process'
import { mountTmpfs, unmount } from '../support/tmpfs'
import { PASSWORDS, World } from '../support/world'
import { newStateDir, refused } from './common'

describe('the sidecar refuses to run, exits with 2 and says what to do', () => {
    let world: World
    before(async () => {
        world = await World.create({ name: 'refusals', bare: true })
    })
    after(() => world.destroy())

    const options = (stateDir: string, more: object = {}) => ({ stateDir, databaseUrl: world.sidecarUrl, ...more })

    it('without a state directory', async () => {
        const { code, stderr, stdout } = await runCommand(['run'])
        expect([code, stdout]).to.deep.equal([2, ''])
        expect(stderr).to.match(/^pglobalxact: --state-dir is missing\n {2}hint: Give --state-dir DIR or set PGLOBALXACT_STATE_DIR: .*\n$/)
    })

    for (const [args, message] of [
        [['--scan-interval', 'soon'], '--scan-interval is "soon"'],
        [['--lost-sets=guess'], '--lost-sets is "guess"'],
        [['--no-such-option'], "Unknown option '--no-such-option'"],
        [['now'], 'unknown command: run now']
    ] as const) {
        it(`with ${args.join(' ')}`, async () => {
            expect((await refused(options('/nowhere', { args }))).message).to.contain(message)
        })
    }

    it('with a bad option in the environment', async () => {
        expect((await refused(options('/nowhere', { env: { PGLOBALXACT_RETRY_CAP: '1' } }))).message).to.equal(
            'PGLOBALXACT_RETRY_CAP is "1"'
        )
    })

    it('with a state directory that does not exist', async () => {
        const { message, hint } = await refused(options('/nowhere/state'))
        expect(message).to.equal('state directory /nowhere/state does not exist')
        expect(hint).to.match(/install -d -m 0700 \/nowhere\/state$/)
    })

    it('with a state directory that others may enter', async () => {
        const directory = newStateDir()
        chmodSync(directory, 0o755)
        const { message, hint } = await refused(options(directory))
        expect(message).to.match(/is open to other users \(mode 755\)$/)
        expect(hint).to.equal(`Run: chmod 0700 ${directory}`)
        expect(readdirSync(directory), 'nothing is written there').to.deep.equal([])
    })

    it("with someone else's state directory", async function () {
        if (process.getuid?.() !== 0) return this.skip()
        const directory = newStateDir()
        chownSync(directory, 4711, 4711)
        expect((await refused(options(directory))).message).to.match(/belongs to uid 4711, not to this process \(uid 0\)$/)
    })

    it('with a state directory that cannot be written', async function () {
        const directory = newStateDir()
        if (process.getuid?.() !== 0) chmodSync(directory, 0o500)
        else if (!mountTmpfs(directory, 'ro,mode=0700')) return this.skip()
        try {
            const { message, hint } = await refused(options(directory))
            expect(message).to.match(/ cannot be written: (EROFS|EACCES)$/)
            expect(hint).to.match(/^Check its permissions, whether its file system is mounted read-only, and the space left on it\.$/)
        } finally {
            if (process.getuid?.() === 0) unmount(directory)
        }
    })

    it('with a damaged line in its state files, naming file and line', async () => {
        const directory = newStateDir()
        const text =
            formatLine({ kind: 'header', coordinator: '0a1b2c3d', home: '0123456789abcdef', segment: 1 }, new Date()) +
            formatLine({ kind: 'compacted', sets: 0 }, new Date()).replace('sets=0', 'sets=1')
        writeFileSync(join(directory, segmentName(1)), text, { mode: 0o600 })
        const { message, hint } = await refused(options(directory))
        expect(message).to.equal(
            `${directory}/${segmentName(1)}, line 2, is damaged: its checksum does not match, or the file ends too early`
        )
        expect(hint).to.match(/Keep a copy of the directory.*rebuilt from the commit records/)
        expect(readFileSync(join(directory, segmentName(1)), 'utf8')).to.equal(text)
    })

    it('with the state files of another coordinator', async () => {
        const directory = newStateDir()
        const set = { xid: '771', nonce: 'cafe0123' }
        const text = [
            { kind: 'header', coordinator: '0a1b2c3d', home: '0123456789abcdef', segment: 1 } as const,
            {
                kind: 'branch',
                set,
                status: 'pending',
                branch: { node: 1, gid: 'pgx_0a1b2c3d_771_cafe0123_1', uri: 'postgresql://b', xid: '7', timeline: '00000001', owner: 'app' }
            } as const,
            { kind: 'phase', set, phase: 'commit' } as const,
            { kind: 'compacted', sets: 1 } as const
        ]
            .map((event) => formatLine(event, new Date()))
            .join('')
        writeFileSync(join(directory, segmentName(1)), text, { mode: 0o600 })
        const { message, hint } = await refused(options(directory))
        const [coordinator] = await world.sql<{ id: string }>('select id from pglobalxact.coordinator')
        expect(message).to.equal(
            `state directory ${directory} belongs to coordinator 0a1b2c3d, this database is coordinator ${coordinator!.id}`
        )
        expect(hint).to.match(/a state directory of its own/)
        expect(readFileSync(join(directory, segmentName(1)), 'utf8')).to.equal(text)
        expect(await world.sql('select note from pglobalxact.status()')).to.deep.equal([{ note: message }])
        expect(await world.sql('select from pglobalxact.home')).to.deep.equal([])
    })

    for (const [what, change, message] of [
        [
            'a wrong password',
            (url: string) => url.replace(PASSWORDS.pglobalxact, 'wrong'),
            /^cannot log in to the coordinator: password authentication failed for user "pglobalxact"$/
        ],
        ['no password', (url: string) => url.replace(`:${PASSWORDS.pglobalxact}`, ''), /^cannot log in to the coordinator: .*password/],
        [
            'a role that does not exist',
            (url: string) => url.replace('://pglobalxact:', '://nobody_here:'),
            /^cannot log in to the coordinator: /
        ],
        [
            'a database that does not exist',
            (url: string) => `${url}_not`,
            /^cannot log in to the coordinator: database ".*_not" does not exist$/
        ],
        [
            'an address that is none',
            () => `postgresql://user:${PASSWORDS.app}@host:port/x`,
            /^cannot log in to the coordinator: Invalid URL$/
        ]
    ] as const) {
        it(`with ${what}`, async () => {
            const found = await refused({ stateDir: newStateDir(), databaseUrl: change(world.sidecarUrl) })
            expect(found.message).to.match(message)
            expect(found.hint).to.match(/--database-url or the PG\* variables/)
        })
    }

    it('for a role that may not use the schema', async () => {
        const found = await refused({ stateDir: newStateDir(), databaseUrl: world.coordinator.url(world.login('app')) })
        expect(found.message).to.equal('this role may not use schema pglobalxact: permission denied for table migrations')
        expect(found.hint).to.equal('Log in as role pglobalxact, or as a member of it.')
    })

    it('for a database without the schema', async () => {
        const { database } = world
        await world.coordinator.createDatabase(`${database}_bare`)
        const found = await refused({
            stateDir: newStateDir(),
            databaseUrl: world.coordinator.url({ ...world.login('pglobalxact'), database: `${database}_bare` })
        })
        expect(found.message).to.equal('schema pglobalxact is not installed in this database')
        expect(found.hint).to.match(/^Run "make install-sql"/)
        await world.coordinator.dropDatabase(`${database}_bare`)
    })

    for (const [what, sql, message, hint] of [
        [
            'newer',
            "insert into pglobalxact.migrations (id, name, hash) values (999, 'later', 'x')",
            /is at version 999, this sidecar needs \d+$/,
            /Install the sidecar of the version/
        ],
        [
            'older',
            'update pglobalxact.migrations set id = -1 where id = (select max(id) from pglobalxact.migrations); delete from pglobalxact.migrations where id > 0',
            /is at version \d+, this sidecar needs \d+$/,
            /^Run "make install-sql" of this version/
        ]
    ] as const) {
        it(`for a schema ${what} than itself`, async () => {
            const saved = JSON.stringify(await world.sql('select * from pglobalxact.migrations'))
            await world.sql(sql)
            const found = await refused(options(newStateDir()))
            expect(found.message).to.match(message)
            expect(found.hint).to.match(hint)
            await world.sql('delete from pglobalxact.migrations')
            await world.sql('insert into pglobalxact.migrations select * from json_populate_recordset(null::pglobalxact.migrations, $1)', [
                saved
            ])
        })
    }

    it('while another sidecar uses the same state directory, which goes on undisturbed', async () => {
        const first = await world.startSidecar()
        const { message, hint } = await refused(options(world.stateDir))
        expect(message).to.equal(`another sidecar is using this state directory (${world.stateDir}/sidecar.sock answers)`)
        expect(hint).to.equal('Stop it first, or give this one a directory of its own.')
        first.pause()
        expect((await refused(options(world.stateDir))).message, 'also while it is stopped').to.match(/another sidecar is using/)
        first.resume()
        expect((await world.sql<{ sidecar: string }>('select sidecar from pglobalxact.status()'))[0]!.sidecar).to.equal('acting')
        await first.stop()
    })
})
