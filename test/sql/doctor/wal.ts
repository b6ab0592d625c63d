/** Replication slots that nobody uses keep WAL until the disk is full. */
import type { Cluster } from '../../support/cluster'
import type { World } from '../../support/world'
import type { Case } from './support'

/** 256 MB, in switched segments. */
const keepWal = async (cluster: Cluster): Promise<void> => {
    await cluster.query("select pg_create_physical_replication_slot('gone', true)")
    for (let i = 0; i < 17; i++) await cluster.query('select pg_switch_wal(), txid_current()')
}

const finding = /^replication slot "?gone"? is unused and keeps \d+ MB of WAL$/

export const WAL: readonly Case[] = [
    {
        key: 'coordinator.wal_kept',
        title: 'a slot whose standby is gone',
        severity: 'warning',
        place: 'coordinator',
        finding,
        provoke: (world: World) => keepWal(world.coordinator)
    },
    {
        key: 'node.wal_kept',
        title: 'a slot whose standby is gone',
        severity: 'warning',
        place: 'node b',
        finding,
        provoke: (world: World) => keepWal(world.nodes.get('b')!)
    }
]
