/**
 * A point inside the local COMMIT, made without any hook in the product: deferred constraint triggers run in the order in
 * which their rows were written. A row in "gate" written before the set's first statement holds the COMMIT before any
 * PREPARE is sent; one written after it holds the COMMIT when every branch is prepared and nothing is decided.
 */
import type { Client } from 'pg'
import { until } from '../../support/wait'
import type { World } from '../../support/world'

const LOCK = 4711

export async function installGate(world: World): Promise<void> {
    await world.sql(`
    create table gate (place text);
    create function gate_holds() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock_shared(${LOCK}); return null; end';
    create constraint trigger gate_holds after insert on gate deferrable initially deferred for each row execute function gate_holds();
    grant insert on gate to app`)
}

/** Closed until opened, or until the coordinator is gone. */
export class ClosedGate {
    private constructor(
        private readonly world: World,
        private readonly holder: Client
    ) {}

    static async close(world: World): Promise<ClosedGate> {
        const holder = await world.coordinator.connect({ database: world.database })
        await holder.query('select pg_advisory_lock($1)', [LOCK])
        return new ClosedGate(world, holder)
    }

    /** Waits until a COMMIT stands at the gate. */
    async reached(): Promise<void> {
        await until(
            'the COMMIT stands at the gate',
            async () =>
                (await this.world.sql('select from pg_locks where locktype = $1 and objid = $2 and not granted', ['advisory', LOCK]))
                    .length > 0
        )
    }

    async open(): Promise<void> {
        await this.holder.end().catch(() => undefined)
    }

    /** For a coordinator that is gone without a word: it would never answer to open(). */
    drop(): void {
        this.holder.connection.stream.destroy()
    }
}
