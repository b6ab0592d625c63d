/** What happens to the bank. Each step ends with every set over and the money where it belongs. */
import { until } from '../support/wait'
import { NODES, type Bank, type Node } from './bank'
import { oneMoment } from './moment'
import { act, quote, say, type Session } from './screen'

export interface Stage {
    readonly bank: Bank
    /** Opens a psql at the coordinator. */
    readonly open: (role: 'app' | 'dba') => Promise<Session>
    /** Opens a psql at a node. */
    readonly openAt: (node: Node) => Promise<Session>
}

export interface Step {
    readonly title: string
    readonly play: (stage: Stage) => Promise<void>
}

const SETS = 'select set_id, phase, outcome, prepared, finished, last_error from pglobalxact.sets();'

export const STEPS: readonly Step[] = [
    { title: 'A transfer that commits on three servers', play: commits },
    { title: 'One that rolls back', play: rollsBack },
    { title: 'A node is killed between PREPARE and COMMIT PREPARED', play: nodeKilled },
    { title: 'The sidecar is killed right after a decision', play: sidecarKilled },
    { title: 'The coordinator is stopped between PREPARE and its commit', play: coordinatorStopped },
    { title: 'A node stays dead, and a person decides', play: forced },
    { title: 'One moment of three servers, while money moves', play: oneMoment }
]

async function commits({ open }: Stage): Promise<void> {
    say(
        'Alice in Zurich gives 100 to Bob in London and 100 to Carol in Tokyo. No new syntax: BEGIN, COMMIT, and a function that sends SQL to a node.'
    )
    const app = await open('app')
    await app.type('begin;')
    await app.type('update account set balance = balance - 200;')
    await app.type("select pglobalxact.exec('london', 'update account set balance = balance + 100');")
    await app.type("select pglobalxact.exec('tokyo', 'update account set balance = balance + 100');")
    await app.type('commit;')
    say(
        'COMMIT has prepared both nodes and committed here: that was the decision. The nodes follow within milliseconds; await() waits for them.'
    )
    await app.type('select pglobalxact.await();')
    await app.type('select * from whole_bank;')
    await app.close()
}

async function rollsBack({ open }: Stage): Promise<void> {
    say("Carol is to pay 5000 which she does not have. Her server says no, and Bob's 5000 go with it.")
    const app = await open('app')
    await app.type('begin;')
    await app.type("select pglobalxact.exec('london', 'update account set balance = balance + 5000');")
    await app.type("select pglobalxact.exec('tokyo', 'update account set balance = balance - 5000');")
    await app.type('commit;')
    await app.type('select * from whole_bank;')
    await app.close()
}

async function nodeKilled({ bank, open }: Stage): Promise<void> {
    say(
        "The bank has made a function of step 1. In this one a trigger of the demo's keeps COMMIT waiting, so that there is time to look: both nodes have prepared, and nothing is decided."
    )
    const [app, dba] = [await open('app'), await open('dba')]
    const pause = await hold(bank)
    await pay(app, 'slow_transfer')
    const commit = app.begin('commit;')
    await allPrepared(bank)
    await seen(bank, "phase = 'prepare' and prepared = 2")
    await dba.type(SETS)
    act(`kill -9: tokyo is gone, the server (pid ${bank.servers.tokyo.pid}) and all its processes. Then the COMMIT goes on.`)
    await bank.servers.tokyo.kill()
    await pause.end()
    await commit()
    await seen(bank, "phase = 'incomplete' and finished = 1 and last_error is not null")
    say("Committed: no answer from Tokyo was needed any more. Bob has his money, Carol's waits in a prepared transaction on a dead server.")
    await dba.type(SETS)
    act('tokyo is started again')
    await bank.servers.tokyo.start()
    await bank.settled()
    say('Nobody did anything.')
    await dba.type(SETS)
    await dba.type('select * from whole_bank;')
    await Promise.all([app.close(), dba.close()])
}

async function sidecarKilled({ bank, open }: Stage): Promise<void> {
    const point = 'after state line'
    say(
        `The sidecar is started with --fault-point "${point}": it freezes when the decision is on its disk and before anything is sent to a node.`
    )
    await bank.sidecar?.stop()
    const doomed = await bank.startSidecar(['--fault-point', point])
    const [app, dba] = [await open('app'), await open('dba')]
    const set = await pay(app, 'transfer')
    await app.type('commit;')
    await doomed.waitForLog(/stopped at fault point/)
    act('kill -9: the sidecar is gone. Its state file, as cat shows it (long lines cut):')
    await doomed.kill()
    quote(bank.stateLines().map((line) => (line.length > 100 ? `${line.slice(0, 100)}…` : line)))
    await until(
        'the coordinator has noticed',
        async () => (await bank.query('zurich', "select from pglobalxact.status() where sidecar = 'not running'")).length > 0
    )
    await dba.type('select sidecar, note from pglobalxact.status();')
    await dba.type(`select * from pglobalxact.retry('${set}');`)
    act('a new sidecar is started on the same state directory')
    const next = await bank.startSidecar()
    quote(next.logs.filter((line) => /state directory read| acting /.test(line)))
    await bank.settled()
    await dba.type(SETS)
    await dba.type('select * from whole_bank;')
    await Promise.all([app.close(), dba.close()])
}

async function coordinatorStopped({ bank, open, openAt }: Stage): Promise<void> {
    say(
        'The same pause: both nodes have prepared. Now the coordinator itself goes, before its own commit: there is no decision, and never will be.'
    )
    const app = await open('app')
    await hold(bank)
    const set = await pay(app, 'slow_transfer')
    const commit = app.begin('commit;')
    await allPrepared(bank)
    act('pg_ctl stop -m immediate: zurich is down')
    await bank.servers.zurich.stop('immediate')
    await commit()
    await app.close()
    say('What the nodes hold now is in doubt, with locks and all. Only the coordinator can tell.')
    const london = await openAt('london')
    await london.type('select gid, owner, database from pg_prepared_xacts;')
    act('zurich is started again')
    await bank.servers.zurich.start()
    await until('both branches are rolled back', async () => (await preparedAnywhere(bank)) === 0)
    await london.type('select gid, owner, database from pg_prepared_xacts;')
    await london.close()
    say('The program lost its connection during COMMIT, so it cannot know. It kept the set id, and asks:')
    const again = await open('app')
    await again.type(`select pglobalxact.outcome('${set}');`)
    await again.type('select * from whole_bank;')
    await again.close()
}

async function forced({ bank, open }: Stage): Promise<void> {
    say('As in step 3 a node dies with a prepared branch. But this one will not come back, they say, and the set is on the books for ever.')
    const [app, dba] = [await open('app'), await open('dba')]
    const pause = await hold(bank)
    const set = await pay(app, 'slow_transfer')
    const commit = app.begin('commit;')
    await allPrepared(bank)
    act('kill -9: london is gone')
    await bank.servers.london.kill()
    await pause.end()
    await commit()
    await seen(bank, "phase = 'incomplete' and finished = 1 and last_error is not null")
    await dba.type(SETS)
    say('A force is planned first. The plan says what each node says now, what the decision demands, and what is at stake:')
    const plan = await dba.type(`select node, now, decision, result, confirm from pglobalxact.force_commit('${set}', 'london');`)
    const token = /\b[0-9a-f]{8}\b(?=\s*\n\(1 row\))/.exec(plan)?.[0]
    if (token === undefined) throw new Error(`no token in: ${plan}`)
    await dba.type(
        `select node, result from pglobalxact.force_commit('${set}', 'london', reason => 'host burnt down, ticket 4711', confirm => '${token}');`
    )
    await dba.type(SETS)
    act('a week later somebody finds the disk, and london is started after all')
    await bank.servers.london.start()
    await until('the branch on london is settled', async () => (await preparedAnywhere(bank)) === 0)
    await until(
        'and the coordinator knows',
        async () =>
            (await bank.query('zurich', `select from pglobalxact.branches('${set}') where node = 'london' and state = 'committed'`))
                .length > 0
    )
    say('Its prepared branch was still there. The commit record and the recorded order said what it had to become:')
    await dba.type(`select node, state, decision from pglobalxact.branches('${set}');`)
    await dba.type('select * from whole_bank;')
    await Promise.all([app.close(), dba.close()])
}

/** The transfer of step 1 as a function of the bank's, up to COMMIT; returns the set id. */
async function pay(app: Session, how: 'transfer' | 'slow_transfer'): Promise<string> {
    await app.type('begin;')
    const answer = await app.type(`select ${how}(100) as set_id;`)
    const id = /\d+_[0-9a-f]{8}/.exec(answer)?.[0]
    if (id === undefined) throw new Error(`no set id in: ${answer}`)
    return id
}

/** Takes the lock that the trigger of sql/pause.sql waits for; ending the client lets COMMIT go on. */
async function hold(bank: Bank): Promise<{ end(): Promise<void> }> {
    const client = await bank.servers.zurich.connect({ database: 'bank' })
    await client.query('select pg_advisory_lock(4711)')
    return client
}

const preparedAnywhere = async (bank: Bank): Promise<number> => (await Promise.all(NODES.map((node) => bank.prepared(node)))).flat().length

const allPrepared = (bank: Bank): Promise<unknown> =>
    until('both nodes have prepared', async () => (await preparedAnywhere(bank)) === NODES.length)

const seen = (bank: Bank, condition: string): Promise<unknown> =>
    until(
        `sets() shows ${condition}`,
        async () => (await bank.query('zurich', `select from pglobalxact.sets() where ${condition}`)).length > 0
    )
