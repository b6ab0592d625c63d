import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { fillAccounts } from '../support/refused'
import { cleanEnv } from '../support/workdir'
import { PASSWORDS, World } from '../support/world'

const UNTOUCHED = { a: 1000, b: 1000, c: 1000 }

interface Said {
    readonly set: string
    readonly answer?: string
    readonly node?: string
    readonly commit: string
    readonly message?: string
    readonly hint?: string
    readonly outcome?: string
}

const python = ['/usr/bin/python3', 'python3'].find((path) => spawnSync(path, ['-c', 'import psycopg2']).status === 0)

describe('enlist, from Python with psycopg2', () => {
    let world: World

    before(async function () {
        if (!python) {
            console.error('    SKIPPED, nothing is proved: no python3 here can import psycopg2 (Debian: apt install python3-psycopg2)')
            return this.skip()
        }
        world = await World.create({ name: 'psycopg2' })
    })
    beforeEach(() => fillAccounts(world))
    afterEach(() => world.settled())
    after(() => world?.destroy())

    async function run(how: string): Promise<Said> {
        const { stdout } = await promisify(execFile)(python!, [join(__dirname, 'psycopg2_client.py'), how], {
            env: {
                ...cleanEnv(),
                COORDINATOR: world.coordinator.url(world.login('app')),
                NODE: world.nodes.get('b')!.url({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
            }
        })
        return JSON.parse(stdout) as Said
    }

    it('commits on both servers what it prepared with PREPARE TRANSACTION', async () => {
        expect(await run('plain')).to.deep.include({ answer: 'PREPARE TRANSACTION', commit: 'ok', outcome: 'committed' })
        expect(await world.balances()).to.deep.equal({ a: 990, b: 1010, c: 1000 })
    })

    it('commits on both servers what it prepared with tpc_begin(gid) and tpc_prepare()', async () => {
        expect(await run('tpc')).to.deep.include({ commit: 'ok', outcome: 'committed' })
        expect(await world.balances()).to.deep.equal({ a: 990, b: 1010, c: 1000 })
    })

    it('commits nothing if it prepared under another gid, which is what tpc_begin(xid(…)) does', async () => {
        const { commit, message, hint } = await run('tpc-xid')
        expect(commit).to.equal('55000')
        expect(message).to.match(/^set rolled back: node "b": transaction "pgx_.*" is not prepared there$/)
        expect(hint).to.match(/^Run PREPARE TRANSACTION with the gid from pglobalxact\.enlist\(\)/)
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })

    it('commits nothing if it forgot to prepare', async () => {
        expect((await run('forgot')).commit).to.equal('55000')
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })

    it('commits nothing if its PREPARE TRANSACTION answered ROLLBACK', async () => {
        expect(await run('failed')).to.include({ node: '23514', answer: 'ROLLBACK', commit: '55000' })
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })

    it('leaves nothing prepared when it rolls back locally', async () => {
        const { set } = await run('rollback')
        await world.settled()
        expect(await world.sql('select pglobalxact.outcome($1) as outcome', [set])).to.deep.equal([{ outcome: 'rolled back' }])
        expect(await world.balances()).to.deep.equal(UNTOUCHED)
    })
})
