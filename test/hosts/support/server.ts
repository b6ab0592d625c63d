/** A PostgreSQL server that is a host: it starts and dies with it. */
import { join } from 'node:path'
import { binaries, type Binaries } from '../../support/binaries'
import { Cluster } from '../../support/cluster'
import { PASSWORD } from '../../support/datadir'
import { until } from '../../support/wait'
import { workDir } from '../../support/workdir'
import { Host } from './host'
import type { Lan } from './lan'
import { HOME, LOGS, POSTGRES } from './layout'

const PORT = 5432
const LOG = `${LOGS}/postgresql.log`
const DATA = `${HOME}/data`

/** All statements are logged: what a sidecar ordered is read there, and by whoever wants to know why a test failed. */
const SETTINGS = [
    'listen_addresses=*',
    'unix_socket_directories=/tmp',
    'max_prepared_transactions=50',
    'shared_buffers=16MB',
    'log_statement=all',
    // With the address of whoever sent the statement.
    'log_line_prefix=%m [%p] %r %a '
]

/** The first process of its host. The data directory is made at the first start, and found at the others. */
const BOOT = `
set -e
PATH=${POSTGRES}/bin:$PATH
if [ ! -s ${DATA}/PG_VERSION ]; then
    umask 077
    printf %s "$SUPERUSER_PASSWORD" >/tmp/password
    initdb -D ${DATA} -U postgres --pwfile=/tmp/password --auth=scram-sha-256 --locale=C --encoding=UTF8 --no-instructions >/dev/null
    rm /tmp/password
    echo 'host all all samenet scram-sha-256' >>${DATA}/pg_hba.conf
fi
exec postgres -D ${DATA} ${SETTINGS.map((setting) => `-c '${setting}'`).join(' ')} >>${LOG} 2>&1`

let started = 0

export class Server extends Cluster {
    /** The programs are those in the image: what runs on this machine is not used. */
    private constructor(
        readonly machine: Host,
        unused: Binaries
    ) {
        super(machine.name, join(workDir(), `host-${++started}`), unused, PORT, {})
    }

    static async start(name: string, lans: readonly Lan[]): Promise<Server> {
        const machine = await Host.start({ name, lans, command: ['/bin/sh', '-c', BOOT], env: { SUPERUSER_PASSWORD: PASSWORD } })
        const server = new Server(machine, await binaries())
        await server.answering()
        return server
    }

    override get host(): string {
        return this.machine.address
    }

    /** Other hosts find it by its name, wherever it has moved. */
    override get peerName(): string {
        return this.machine.name
    }

    /** Power on, and until it takes connections. */
    override async start(): Promise<void> {
        await this.machine.start()
        await this.answering()
    }

    override kill(): Promise<void> {
        return this.machine.kill()
    }

    /** Up and reachable, whatever was done to it. */
    async revive(): Promise<void> {
        await this.machine.revive()
        await this.answering()
    }

    override destroy(): Promise<void> {
        return this.machine.remove()
    }

    /** Its log, read on the host itself: it does not matter who can reach it. */
    async readLog(): Promise<string> {
        return (await this.machine.run('cat', LOG)).output
    }

    private async answering(): Promise<void> {
        await until(`${this.name} takes connections`, async () => (await this.query('select 1')).length > 0, { timeoutMs: 60_000 })
    }
}
