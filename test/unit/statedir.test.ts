import { spawnSync } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { Refusal } from '../../sidecar/refusal'
import { openStateDir, type StateDir } from '../../sidecar/statedir'
import { mountTmpfs, unmount } from '../support/tmpfs'

const UID = process.getuid?.() ?? -1
const ROOT = UID === 0

describe('the state directory', () => {
    let base: string
    let directory: string
    let held: StateDir | undefined

    beforeEach(async () => {
        base = await mkdtemp(join(tmpdir(), 'pgx-dir-'))
        directory = join(base, 'state')
        await mkdir(directory, { mode: 0o700 })
        held = undefined
    })
    afterEach(async () => {
        await held?.release()
        await rm(base, { recursive: true, force: true })
    })

    const open = async (path = directory, uid = UID): Promise<StateDir> => (held = await openStateDir(path, uid))

    async function refusal(path = directory, uid = UID): Promise<Refusal> {
        const result: unknown = await open(path, uid).catch((error: unknown) => error)
        expect(result).to.be.instanceOf(Refusal)
        return result as Refusal
    }

    it('gets a home id on first use and keeps it', async () => {
        const { home, path } = await open()
        expect(path).to.equal(directory)
        expect(home).to.match(/^[0-9a-f]{16}$/)
        expect(await readFile(join(directory, 'home'), 'utf8')).to.equal(`${home}\n`)
        expect((await stat(join(directory, 'home'))).mode & 0o777).to.equal(0o600)
        await held?.release()
        expect((await open()).home).to.equal(home)
        expect((await readdir(directory)).sort()).to.deep.equal(['home', 'sidecar.sock'])
    })

    it('gives every directory another home', async () => {
        const first = await open()
        const other = join(base, 'other')
        await mkdir(other, { mode: 0o700 })
        const second = await openStateDir(other, UID)
        expect(second.home).to.not.equal(first.home)
        await second.release()
    })

    it('is refused when it does not exist, with the command that makes it', async () => {
        const { message, hint } = await refusal(join(base, 'missing'))
        expect(message).to.equal(`state directory ${base}/missing does not exist`)
        expect(hint).to.equal(`Create it for the user the sidecar runs as: install -d -m 0700 ${base}/missing`)
    })

    it('is refused when it is a file', async () => {
        await writeFile(join(base, 'file'), '')
        expect((await refusal(join(base, 'file'))).message).to.match(/does not exist$/)
    })

    for (const mode of [0o750, 0o705, 0o777, 0o710, 0o701, 0o702]) {
        it(`is refused with mode ${mode.toString(8)}`, async () => {
            await chmod(directory, mode)
            const { message, hint } = await refusal()
            expect(message).to.equal(`state directory ${directory} is open to other users (mode ${mode.toString(8)})`)
            expect(hint).to.equal(`Run: chmod 0700 ${directory}`)
        })
    }

    it('is refused when it belongs to another user', async function () {
        expect((await refusal(directory, UID + 1)).message).to.equal(
            `state directory ${directory} belongs to uid ${UID}, not to this process (uid ${UID + 1})`
        )
        if (!ROOT) return
        await chown(directory, 4711, 4711)
        expect((await refusal()).message).to.equal(`state directory ${directory} belongs to uid 4711, not to this process (uid 0)`)
    })

    it('is refused when it cannot be written', async function () {
        if (ROOT && !mountTmpfs(directory, 'ro,mode=0700')) return this.skip()
        if (!ROOT) await chmod(directory, 0o500)
        try {
            const { message, hint } = await refusal()
            expect(message).to.match(ROOT ? /cannot be written: EROFS$/ : /cannot be written: EACCES$/)
            expect(hint).to.match(/permissions.*read-only.*space/)
        } finally {
            if (ROOT) unmount(directory)
            else await chmod(directory, 0o700)
        }
    })

    it('is refused when its path leaves no room for a socket, and taken when it just fits', async () => {
        const room = 100 - '/sidecar.sock'.length - base.length - 1
        for (const [length, fits] of [
            [room, true],
            [room + 1, false]
        ] as const) {
            const path = join(base, 'x'.repeat(length))
            await mkdir(path, { mode: 0o700 })
            if (fits) {
                await open(path)
                await held?.release()
            } else {
                const { message, hint } = await refusal(path)
                expect(message).to.match(/is too long$/)
                expect(hint).to.equal('At most 87 bytes: it holds a Unix socket.')
                expect(Buffer.byteLength(path)).to.equal(88)
            }
        }
    })

    it('is held by one at a time, through a symbolic link too, and free again after release', async () => {
        const first = await open()
        await symlink(directory, join(base, 'link'))
        for (const path of [directory, join(base, 'link')]) {
            const error: unknown = await openStateDir(path, UID).catch((one: unknown) => one)
            expect((error as Refusal).message).to.equal(`another sidecar is using this state directory (${path}/sidecar.sock answers)`)
        }
        await first.release()
        await open()
    })

    it('is held by a process that is stopped and does not answer', async () => {
        const server = createServer(() => undefined)
        await new Promise<void>((done) => server.listen(join(directory, 'sidecar.sock'), done))
        expect((await refusal()).message).to.match(/another sidecar is using this state directory/)
        await new Promise((done) => server.close(done))
    })

    it("is taken over from a process that died, whatever it left in the socket's place", async () => {
        const listen = `require('node:net').createServer().listen(${JSON.stringify(join(directory, 'sidecar.sock'))}, () => process.kill(process.pid, 'SIGKILL'))`
        expect(spawnSync(process.execPath, ['-e', listen], { stdio: 'ignore', timeout: 20_000 }).signal).to.equal('SIGKILL')
        expect(await readdir(directory)).to.deep.equal(['sidecar.sock'])
        await open()
        await held?.release()
        await writeFile(join(directory, 'sidecar.sock'), 'a file')
        await open()
    })

    it('is given to one of many that start at once', async () => {
        const opened = await Promise.all(Array.from({ length: 8 }, () => openStateDir(directory, UID).catch(() => undefined)))
        const winners = opened.filter((one) => one !== undefined)
        expect(winners.length).to.be.at.most(1)
        for (const winner of winners) await winner.release()
        await open()
    })

    for (const [what, text] of [
        ['no id', 'hello\n'],
        ['an id without its line break', '0123456789abcdef'],
        ['two ids', '0123456789abcdef\n0123456789abcdef\n'],
        ['upper case', '0123456789ABCDEF\n']
    ] as const) {
        it(`is refused when its home file holds ${what}, and the file is left as it is`, async () => {
            await writeFile(join(directory, 'home'), text)
            const { message, hint } = await refusal()
            expect(message).to.equal(`${directory}/home does not hold a home id`)
            expect(hint).to.match(/Restore it from a copy; or remove it and allow the new id with pglobalxact\.adopt\(reason\)\./)
            expect(await readFile(join(directory, 'home'), 'utf8')).to.equal(text)
        })
    }

    it('gets a new home id when a crash left the file empty', async () => {
        await writeFile(join(directory, 'home'), '')
        expect((await open()).home).to.match(/^[0-9a-f]{16}$/)
    })
})
