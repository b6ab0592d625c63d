/** The last thing that happens to the bank: somebody looks at all of it at once, while money moves. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { missingPgDump, runDump } from '../support/dump'
import { workDir } from '../support/workdir'
import { PLACES, TOTAL, type Bank, type Place } from './bank'
import { act, quote, say } from './screen'
import type { Stage } from './steps'

const PROGRAMS = 3

export async function oneMoment({ bank, open, openAt }: Stage): Promise<void> {
    say(
        `${PROGRAMS} programs move money to and fro between the three servers, as fast as they can. Whoever adds up the accounts one after the other is wrong by what moved meanwhile. A snapshot of each server, between two transfers, is right:`
    )
    const traffic = await Traffic.start(bank)
    try {
        const dba = await open('dba')
        const answer = await dba.type('select node, snapshot, held from pglobalxact.export_snapshots();')
        let total = 0
        for (const place of PLACES) {
            const server = place === 'zurich' ? '(coordinator)' : place
            const id = answer
                .split('\n')
                .find((line) => line.trim().startsWith(server))
                ?.split('|')[1]
                ?.trim()
            if (id === undefined) throw new Error(`no snapshot of ${server} in: ${answer}`)
            total += await balanceIn(place, id, { open, openAt })
        }
        say(`Together ${total}, while the programs went on: each transfer is on all three, or on none.`)
        if (total !== TOTAL) throw new Error(`the snapshots hold ${total} instead of ${TOTAL}`)
        await dba.type('select pglobalxact.release_snapshots();')
        await dump(bank)
        await dba.close()
    } finally {
        await traffic.stop()
    }
    say(`Transfers meanwhile: ${traffic.done}.`)
}

async function balanceIn(place: Place, snapshot: string, { open, openAt }: Pick<Stage, 'open' | 'openAt'>): Promise<number> {
    const session = await (place === 'zurich' ? open('dba') : openAt(place))
    await session.type('begin isolation level repeatable read;')
    await session.type(`set transaction snapshot '${snapshot}';`)
    const answer = await session.type('select sum(balance) from account;')
    await session.type('commit;')
    await session.close()
    return Number(/^ *(\d+)$/m.exec(answer)?.[1])
}

/** With the pg_dump that is installed, if it is not older than the servers. */
async function dump(bank: Bank): Promise<void> {
    const version = missingPgDump(bank.servers.zurich)
    if (version !== undefined) {
        say(
            `packaging/pglobalxact-dump has pg_dump write one file per server from such snapshots. (No pg_dump of version ${version} is on this machine.)`
        )
        return
    }
    const directory = mkdtempSync(join(workDir(), 'dump-'))
    try {
        await bank.query('zurich', 'grant pg_read_all_data to dba')
        act('packaging/pglobalxact-dump: pg_dump --snapshot on all three at once. (The DBA was granted pg_read_all_data for it.)')
        const { code, stderr } = await runDump(directory, {
            coordinator: bank.servers.zurich,
            dba: bank.login('dba'),
            there: bank.login('app')
        })
        if (code !== 0) throw new Error(`pglobalxact-dump failed: ${stderr}`)
        quote([
            ...stderr.trimEnd().split('\n'),
            ...dumpsIn(directory).map((name) => `${name}  ${statSync(join(directory, name)).size} bytes`)
        ])
    } finally {
        rmSync(directory, { recursive: true, force: true })
    }
}

const dumpsIn = (directory: string): string[] => readdirSync(directory).filter((name) => name.endsWith('.dump'))

/** Programs that transfer 1 to each node and take it back, one set after the other. */
class Traffic {
    done = 0
    private going = true
    private programs: readonly Promise<void>[] = []

    static async start(bank: Bank): Promise<Traffic> {
        const traffic = new Traffic()
        const clients = await Promise.all(Array.from({ length: PROGRAMS }, () => bank.servers.zurich.connect(bank.login('app'))))
        traffic.programs = clients.map(async (client) => {
            try {
                for (let sum = 1; traffic.going || sum < 0; sum = -sum) {
                    await client.query('begin')
                    await client.query('update account set balance = balance - $1', [2 * sum])
                    for (const node of ['london', 'tokyo'])
                        await client.query('select pglobalxact.exec($1, $2)', [node, `update account set balance = balance + ${sum}`])
                    await client.query('commit')
                    traffic.done += 1
                }
            } finally {
                await client.end()
            }
        })
        for (const program of traffic.programs) program.catch(() => undefined) // told by stop
        return traffic
    }

    async stop(): Promise<void> {
        this.going = false
        await Promise.all(this.programs)
    }
}
