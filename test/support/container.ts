/**
 * PostgreSQL from an image: each of its programs in a container of its own, through testcontainers.
 *
 * The container shares this machine's network and process ids and, under the same path, its program's directory. So
 * ports, pg_backend_pid() and files mean the same inside and outside, the signals that stop, crash and freeze a server
 * are those for one without a container, and the guard ends both alike. The daemon removes a container as soon as its
 * program has ended, however that happened: nothing is left for Ryuk, which therefore is not started.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GenericContainer, StartupCheckStrategy, getContainerRuntimeClient, type StartupStatus } from 'testcontainers'
import type { Binaries } from './binaries'
import { ownedDir } from './datadir'
import { guarded, logOf, serverEnv, type Command, type Ended, type Launcher } from './launcher'
import { atEnd, serverAccount, workDir, type Account } from './workdir'

/** On every container; its value is the temporary directory of the test process. */
const LABEL = 'pglobalxact.test'

/** Prints the kernel's id, the directory of the programs (the one on PATH first, else the highest version's), and their version. */
const LOOK = `
for dir in /usr/lib/postgresql/*/bin "$(dirname "$(command -v postgres)")"; do
  [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && bin=$dir
done
cat /proc/sys/kernel/random/boot_id; echo "$bin"; "$bin/postgres" --version`

let connected = false

/** The programs in an image, which is pulled if it is not here. */
export async function imageBinaries(image: string): Promise<Binaries> {
    await connect()
    // A container that we asked for and did not live to register: the guard removes it if there is a docker command (after
    // a second, since the daemon may still be making it), else the next run does.
    atEnd(`sleep 1; docker ps -aq --filter label=${LABEL}=${workDir()} | xargs docker rm -fv`)
    await removeContainers((directory, state) => state !== 'running' && !existsSync(directory))
    const launcher: Launcher = {
        launch: async (command) => {
            const container = new ProgramContainer(image, command)
            return guarded(command, { pid: await container.run(), exit: container.exit })
        },
        // The segment was the container's, and has gone with it. Here its number may be another server's.
        freeSegment: () => undefined
    }
    const home = join(workDir(), 'image')
    await ownedDir(home)
    const look: Command = { program: '/bin/sh', args: ['-c', LOOK], home, title: `look into ${image}`, last: 'KILL' }
    const { exit } = await launcher.launch(look).catch((cause: unknown) => {
        throw new Error(`no container can be made from the image ${image}: ${String(cause)}`, { cause })
    })
    await exit
    const [kernel, bin, version] = (await readFile(logOf(home), 'utf8').catch(() => '')).split('\n')
    if (kernel === undefined || kernel !== (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim()) {
        throw new Error(
            'PGLOBALXACT_TEST_IMAGE needs a Docker daemon that runs as root on this very machine: one elsewhere, in a' +
                ' virtual machine (Docker Desktop) or without root does not share network, processes and files with the tests'
        )
    }
    const major = Number(/\(PostgreSQL\) (\d+)/.exec(version ?? '')?.[1])
    if (!bin || !major) throw new Error(`image ${image} has no initdb and postgres, neither on its PATH nor in /usr/lib/postgresql/*/bin`)
    return { bin, major, launcher }
}

/** Removes the containers of this process that are left, and returns their names: there should be none. */
export function leftContainers(): Promise<readonly string[]> {
    return removeContainers((directory) => directory === workDir())
}

async function removeContainers(which: (directory: string, state: string) => boolean): Promise<readonly string[]> {
    if (!connected) return []
    const { dockerode } = (await getContainerRuntimeClient()).container
    const all = await dockerode.listContainers({ all: true, filters: { label: [LABEL] } })
    const left = all.filter(({ Labels, State }) => which(Labels[LABEL] ?? '', State))
    // It may go by itself meanwhile.
    await Promise.all(left.map(({ Id }) => dockerode.getContainer(Id).remove({ force: true, v: true }).catch(unlessGone)))
    return left.map(({ Names, Command: command }) => `container ${Names.join(' ')} (${command})`)
}

async function connect(): Promise<void> {
    try {
        await getContainerRuntimeClient()
        connected = true
    } catch (cause) {
        throw new Error(
            'PGLOBALXACT_TEST_IMAGE asks for servers in containers, and no Docker daemon answers: start one that this' +
                ' user may use ("docker info" must work; DEBUG=testcontainers* tells what was tried),' +
                ' or unset the variable to test on the embedded servers',
            { cause }
        )
    }
}

/** What a request about a container fails with when that has been removed; anything else is thrown on. */
function unlessGone(error: unknown): undefined {
    if ((error as { readonly statusCode?: number }).statusCode !== 404) throw error
}

/** Ready as soon as it runs: the cluster looks itself whether the server answers, and a short program may have ended. */
class Launching extends StartupCheckStrategy {
    override checkStartupState(): Promise<StartupStatus> {
        return Promise.resolve('SUCCESS')
    }
}

class ProgramContainer extends GenericContainer {
    #exit: Promise<Ended> | undefined

    constructor(image: string, { program, args, home }: Command) {
        super(image)
        const { uid, gid } = serverAccount() ?? ownAccount()
        this.hostConfig.AutoRemove = true
        this.hostConfig.PidMode = 'host'
        this.withNetworkMode('host')
            .withBindMounts([{ source: home, target: home }])
            .withWorkingDir(home)
            .withUser(`${uid}:${gid}`)
            // initdb wants a name for its account.
            .withCopyContentToContainer([{ content: `postgres:x:${uid}:${gid}::/:/bin/sh\n`, target: '/etc/passwd' }])
            .withEnvironment(serverEnv())
            .withLabels({ [LABEL]: workDir() })
            .withEntrypoint(['/bin/sh', '-c', 'exec "$0" "$@" >>log 2>&1'])
            .withCommand([program, ...args])
            .withWaitStrategy(new Launching())
            .withAutoCleanup(false)
    }

    /** Resolves when the program has ended and the container is removed. */
    get exit(): Promise<Ended> {
        return this.#exit ?? Promise.resolve({ code: null })
    }

    /** Starts the program and returns its pid on this machine; undefined if it has ended already. */
    async run(): Promise<number | undefined> {
        const { container } = await getContainerRuntimeClient()
        try {
            const started = await this.start()
            return (await container.getById(started.getId()).inspect()).State.Pid || undefined
        } catch (error) {
            // No such image is the same kind of answer, but then there was no container.
            if (this.#exit) return unlessGone(error)
            throw error
        }
    }

    protected override async containerCreated(id: string): Promise<void> {
        const { container } = await getContainerRuntimeClient()
        this.#exit = container
            .getById(id)
            .wait({ condition: 'removed' })
            .then(({ StatusCode }: { readonly StatusCode: number }) => ({ code: StatusCode }))
            .catch(unlessGone)
            .then((ended) => ended ?? { code: null })
    }
}

const ownAccount = (): Account => ({ uid: process.getuid!(), gid: process.getgid!() })
