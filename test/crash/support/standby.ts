/** Streaming standbys of a server, and what a failover means for a world. */
import { startCluster, type Cluster } from '../../support/cluster'
import { until } from '../../support/wait'

/** A standby of a running server, in step with it. The server is stopped for a moment to be copied. */
export async function addStandby(primary: Cluster, name: string): Promise<Cluster> {
    await primary.stop('fast')
    const starting = startCluster({
        name,
        copyOf: primary,
        standby: true,
        settings: {
            primary_conninfo: `host=${primary.host} port=${primary.port} user=postgres password=${primary.password} application_name=${name}`,
            wal_retrieve_retry_interval: '100ms',
            hot_standby: true
        }
    })
    const standby = await starting
    await primary.start()
    await inStep(primary)
    return standby
}

/** Every commit of the primary waits for its standby from now on. */
export const synchronous = (primary: Cluster): Promise<void> => primary.reload({ synchronous_standby_names: '*' })

/** Waits until the standby has replayed all that the primary wrote. */
export async function inStep(primary: Cluster): Promise<void> {
    await until('the standby has caught up', async () => {
        const rows = await primary.query<{ caught_up: boolean }>(
            "select replay_lsn >= pg_current_wal_flush_lsn() as caught_up from pg_stat_replication where state = 'streaming'"
        )
        return rows.length > 0 && rows.every((row) => row.caught_up)
    })
}

/** The primary loses its power, the standby takes over. */
export async function failOver(primary: Cluster, standby: Cluster): Promise<void> {
    await primary.kill()
    await promote(standby)
}

export async function promote(standby: Cluster): Promise<void> {
    await standby.query('select pg_promote()')
    await until('the standby is promoted', async () => (await standby.query<{ r: boolean }>('select not pg_is_in_recovery() as r'))[0]!.r)
}

/** A standby that goes on running and receives nothing any more: what its primary does from now on is lost with that one. */
export async function cutOff(standby: Cluster): Promise<void> {
    await standby.reload({ primary_conninfo: null })
    await until('the standby receives nothing', async () => (await standby.query('select from pg_stat_wal_receiver')).length === 0)
}
