/** `make demo`: a bank on three real servers, six accidents, a look at all of it at once, and not a unit of money lost. */
import { binaries } from '../support/binaries'
import { destroyAllClusters } from '../support/cluster'
import { until } from '../support/wait'
import { removeWorkDir } from '../support/workdir'
import { Bank, PLACES, TOTAL } from './bank'
import { act, heading, print, say, Session } from './screen'
import { STEPS, type Stage } from './steps'
import { hasPsql, openTerminal } from './terminal'

async function main(): Promise<boolean> {
    const started = performance.now()
    print(`pglobalxact: a bank on three PostgreSQL ${(await binaries()).major} servers, and seven things that happen to it.`)
    if (!hasPsql()) print('(There is no psql on this machine: what it would show is drawn by the demo.)')
    const bank = await Bank.open()
    await bank.run('zurich', 'pause')
    try {
        await introduce(bank)
        const stage = stageOf(bank)
        for (const [index, { title, play }] of STEPS.entries()) {
            heading(`${index + 1}  ${title}`)
            await play(stage)
        }
        return await audit(bank, started)
    } finally {
        await bank.sidecar?.stop()
        await destroyAllClusters()
        removeWorkDir()
    }
}

function stageOf(bank: Bank): Stage {
    return {
        bank,
        open: async (role) => new Session(`${role}@bank`, await openTerminal(bank.servers.zurich, bank.login(role))),
        openAt: async (node) => new Session(`${node}@bank`, await openTerminal(bank.servers[node], bank.login('app')))
    }
}

async function introduce(bank: Bank): Promise<void> {
    print()
    for (const place of PLACES) {
        print(
            `  ${place.padEnd(7)} ${place === 'zurich' ? 'coordinator' : 'node       '}  ${bank.servers[place].host}:${bank.servers[place].port}`
        )
    }
    print(`  sidecar beside zurich, pid ${bank.sidecar?.pid}`)
    print()
    say(
        'Lines behind "#" tell the story, "!" is done to the machines from outside, all else is typed into psql: by the bank\'s program (app) or its DBA (dba).'
    )
}

/** The last word: what each server itself says it holds. */
async function audit(bank: Bank, started: number): Promise<boolean> {
    heading('The books')
    await bank.settled()
    await until('the state files are gone', () => bank.stateLines().length === 0)
    const balances = await Promise.all(PLACES.map((place) => bank.balance(place)))
    const prepared = await Promise.all([bank.prepared('london'), bank.prepared('tokyo')])
    for (const [index, place] of PLACES.entries()) print(`  ${place.padEnd(7)} ${String(balances[index]).padStart(6)}`)
    const sum = balances.reduce((a, b) => a + b, 0)
    print(`  ${'total'.padEnd(7)} ${String(sum).padStart(6)}   (at the start ${TOTAL})`)
    print()
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    const right = sum === TOTAL && prepared.flat().length === 0
    if (right) print(`Not a unit of money was lost; no prepared transaction and no line in the state files is left. ${seconds} s.`)
    else act(`WRONG: ${sum} instead of ${TOTAL}, prepared transactions left: ${prepared.flat().length}. ${seconds} s.`)
    return right
}

main().then(
    (right) => process.exit(right ? 0 : 1),
    (error: unknown) => {
        console.error(error)
        process.exit(1)
    }
)
