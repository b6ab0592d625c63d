import type { Catalog } from './catalog'
import { NEWEST_MIGRATION } from './install'
import type { Introduction, Welcome } from './records'
import { Refusal } from './refusal'
import { messageOf, property } from './sqlstate'

// From nothing to the sidecar that acts: log in, find the schema of this version, be elected. What a person must cure is a Refusal.

/** Undefined where trying again may help. */
export function refusedLogin(error: unknown): Refusal | undefined {
    if (!isHopeless(error)) return undefined
    return new Refusal(
        `cannot log in to the coordinator: ${messageOf(error)}`,
        "Check --database-url or the PG* variables, the role's password, and pg_hba.conf."
    )
}

export async function checkSchema(catalog: Catalog): Promise<void> {
    const found = await catalog.schemaVersion().catch((error: unknown) => {
        if (property(error, 'code') !== '42501') throw error
        throw new Refusal(
            `this role may not use schema pglobalxact: ${messageOf(error)}`,
            'Log in as role pglobalxact, or as a member of it.'
        )
    })
    if (found === NEWEST_MIGRATION) return
    throw found === undefined
        ? new Refusal(
              'schema pglobalxact is not installed in this database',
              'Run "make install-sql" (or: npx pglobalxact install) against it first.'
          )
        : new Refusal(
              `schema pglobalxact is at version ${found}, this sidecar needs ${NEWEST_MIGRATION}`,
              found < NEWEST_MIGRATION
                  ? 'Run "make install-sql" of this version.'
                  : 'Install the sidecar of the version that installed the schema.'
          )
}

/** Waits until this sidecar is the one that acts. `wait` is told why it is not, and says whether to go on; undefined when not. */
export async function elect(catalog: Catalog, who: Introduction, wait: (why: string) => Promise<boolean>): Promise<Welcome | undefined> {
    for (;;) {
        const welcome = await catalog.hello(who)
        if (welcome.coordinator !== undefined) checkCoordinator(who, welcome.coordinator)
        if (welcome.acting) return welcome
        if (!(await wait(welcome.note))) return undefined
    }
}

function checkCoordinator({ belongsTo, stateDirectory }: Introduction, found: string): void {
    if (belongsTo === undefined || belongsTo === found) return
    throw new Refusal(
        `state directory ${stateDirectory} belongs to coordinator ${belongsTo}, this database is coordinator ${found}`,
        'Give each coordinator a state directory of its own, or point the sidecar at the right database.'
    )
}

/** What trying again cannot cure: no such role or database, a wrong or missing password, a URL that is none. */
const isHopeless = (error: unknown): boolean =>
    /^(28|3D|ERR_INVALID_URL)/.test(property(error, 'code') ?? '') || messageOf(error).startsWith('SASL')
