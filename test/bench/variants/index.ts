import { dblink2pc } from './dblink-2pc'
import { enlist, enlistAwait } from './enlist'
import { exec, execAwait, execScript } from './exec'
import { handRolled, handRolledNoWait } from './hand-rolled'
import { local } from './local'
import { no2pc } from './no-2pc'
import { postgresFdw } from './postgres-fdw'
import type { Variant } from './variant'

/** In the order of the report and of a round. */
export const VARIANTS: readonly Variant[] = [
    local,
    no2pc,
    handRolled,
    handRolledNoWait,
    postgresFdw,
    dblink2pc,
    exec,
    execScript,
    execAwait,
    enlist,
    enlistAwait
]

export function variantNamed(name: string): Variant {
    const found = VARIANTS.find((one) => one.name === name)
    if (!found) throw new Error(`no variant is named ${name}`)
    return found
}
