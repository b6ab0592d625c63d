/** Small file systems of a test's own, to be filled and made read-only for real. Needs root (or CAP_SYS_ADMIN). */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { workDir } from '../../support/workdir'

const run = (program: string, ...args: readonly string[]): void => void execFileSync(program, args, { stdio: 'pipe' })

const disks = new Set<SmallDisk>()

/** Takes every small disk away, once nothing runs on it. */
export function unmountAll(): void {
    for (const disk of disks) disk.unmount()
}

let mountable: boolean | undefined

export function canMount(): boolean {
    if (mountable !== undefined) return mountable
    mkdirSync(workDir(), { recursive: true })
    const probe = mkdtempSync(join(workDir(), 'probe-'))
    mountable = process.platform === 'linux' && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', probe]).status === 0
    if (mountable) run('umount', probe)
    rmSync(probe, { recursive: true })
    return mountable
}

/** Skips the test or suite, loudly, where no file system can be mounted. Call it with mocha's `this`. */
export function requireMounts(this: Mocha.Context): void {
    if (canMount()) return
    console.error('    SKIPPED, nothing is proved: mounting a small file system to fill it needs Linux and root')
    this.skip()
}

export class SmallDisk {
    private constructor(readonly path: string) {}

    /** Puts an empty file system over a directory, which keeps its owner and mode. */
    static over(path: string, kilobytes: number): SmallDisk {
        const { uid, gid, mode } = statSync(path)
        run('mount', '-t', 'tmpfs', '-o', `size=${kilobytes}k,uid=${uid},gid=${gid},mode=${(mode & 0o777).toString(8)}`, 'tmpfs', path)
        const disk = new SmallDisk(path)
        disks.add(disk)
        return disk
    }

    /** The one that was put over a directory. */
    static at(path: string): SmallDisk {
        const disk = [...disks].find((one) => one.path === path)
        if (!disk) throw new Error(`no small disk was put over ${path}`)
        return disk
    }

    /** The same, with what the directory held. */
    static under(path: string, spareKilobytes: number): SmallDisk {
        const kept = `${path}.kept`
        run('cp', '-Rp', path, kept)
        const used = Number(execFileSync('du', ['-sk', kept], { encoding: 'utf8' }).split('\t')[0])
        const disk = SmallDisk.over(path, used + spareKilobytes)
        run('cp', '-Rp', `${kept}/.`, path)
        rmSync(kept, { recursive: true })
        return disk
    }

    /** To the last byte. */
    fill(): void {
        for (const block of ['64k', '1']) {
            spawnSync('dd', [
                'if=/dev/zero',
                `of=${join(this.path, `filler-${block}`)}`,
                `bs=${block}`,
                ...(block === '1' ? ['count=8192'] : [])
            ])
        }
    }

    free(): void {
        for (const block of ['64k', '1']) rmSync(join(this.path, `filler-${block}`), { force: true })
    }

    readOnly(): void {
        run('mount', '-o', 'remount,ro', this.path)
    }

    writable(): void {
        run('mount', '-o', 'remount,rw', this.path)
    }

    unmount(): void {
        disks.delete(this)
        spawnSync('umount', ['-l', this.path])
    }
}
