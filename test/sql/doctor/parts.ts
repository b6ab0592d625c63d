/** What can be wrong with the parts that may be off: consumers of events, a kept clock, watched nodes. */
import { expect } from 'chai'
import type { Client } from 'pg'
import { allowWatching, streams, watched } from '../../sidecar/watching'
import { clockOfTheMachine, shiftClock } from '../../support/clock'
import { until } from '../../support/wait'
import { PASSWORDS, type World } from '../../support/world'
import type { Case } from './support'

export const CONSUMERS: readonly Case[] = [
    {
        key: 'coordinator.consumer_expired',
        title: 'one that reads nothing',
        severity: 'warning',
        place: 'coordinator',
        finding: /^consumer "It's late" of events, of role app, expired 00:00:\d\d ago: it had finished no batch for 00:00:00\.001$/,
        provoke: async (world) => {
            await world.sql("select pglobalxact.add_consumer('It''s late', 'app', '1 ms')")
            await until('it has expired', async () => {
                await world.sql('select pglobalxact._purge()')
                return (await world.sql("select from pglobalxact.consumers() where state = 'expired'")).length === 1
            })
        },
        afterwards: async (world) => expect(await world.sql('select from pglobalxact.consumers()')).to.deep.equal([])
    }
]

export const CLOCKS: readonly Case[] = [
    {
        key: 'node.commit_wait',
        title: 'a clock is kept, and theirs differ',
        severity: 'warning',
        place: 'node b',
        finding: /^its clock is \d+\.\d s behind the coordinator's, and a clock is kept$/,
        provoke: async (world) => {
            await world.sql("select pglobalxact.keep_clock('1 s')")
            await shiftClock(world, 'b', '-1 minute')
        },
        cure: async (world, fix) => {
            expect(fix).to.equal('sudo timedatectl set-ntp true')
            await clockOfTheMachine(world, 'b')
        },
        afterwards: (world) => world.sql('select pglobalxact.stop_clock()')
    }
]

let old: Client | undefined

/** A transaction that began before all this WAL: the slot cannot let go of it. The bound is put a little above what is kept. */
async function keepMuch(world: World): Promise<void> {
    old = await world.nodes.get('b')!.connect({ database: world.database, user: 'node_app', password: PASSWORDS.node_app })
    await old.query('begin; update account set balance = balance')
    // The rest of one segment, and all of the next.
    for (const table of ['one', 'two']) await world.node('b', `create table ${table} (); select pg_switch_wal()`)
    const kept = await until('its slot keeps a segment', async () => {
        const [row] = await world.sql<{ kept: string }>('select wal_kept as kept from pglobalxact.watch_status where wal_kept > 16777216')
        return row?.kept
    })
    await world.admin("select * from pglobalxact.watch_node('b', max_wal => $1)", [`${Math.ceil(Number(kept) / 1024 / 0.9)} kB`])
}

export const WATCH: readonly Case[] = [
    {
        key: 'node.watch',
        title: 'the login of the sidecar may not replicate any more',
        severity: 'warning',
        place: 'node b',
        finding: /^it is to be watched, and is not: role "node_sidecar", as which the sidecar logs in, may not replicate$/,
        provoke: async (world) => {
            await allowWatching(world, 'b')
            await world.admin("select * from pglobalxact.watch_node('b')")
            await streams(world, 'b')
            await world.node('b', 'alter role node_sidecar noreplication')
        },
        afterwards: (world) => streams(world, 'b')
    },
    {
        key: 'node.watch_wal',
        title: 'an old transaction holds its slot back',
        severity: 'warning',
        place: 'node b',
        finding: /^its slot pgx_\w+ keeps \d\d % of the WAL it may$/,
        provoke: keepMuch,
        afterwards: async (world) => {
            expect((await watched(world, 'b'))!.remade, 'not made anew').to.equal(0)
            await old!.query('rollback')
            await old!.end()
        }
    }
]
