import { rowsOf, type Check, type Row } from './findings'
import { checkNode } from './nodecheck'
import { checkParts } from './partcheck'
import type { Keeper } from './recovery'
import { checkSidecar, type Patient } from './sidecarcheck'
import { messageOf } from './sqlstate'

export interface Complaint {
    /** An interval: what is older is old. */
    readonly patience: string
    /** By node number: roles known to own branches there. */
    readonly owners: Readonly<Record<string, readonly string[]>>
    /** The newest migration of the schema. */
    readonly schema: number
}

/** The sidecar's part of doctor(): itself and every node, all at once, each within its own time. Looks, and changes nothing. */
export async function examine(patient: Patient, complaint: Complaint): Promise<readonly Row[]> {
    const figures = await patient.catalog.figures()
    const parts = await Promise.all([
        checkSidecar(patient, complaint.schema).then((checks) => rowsOf('sidecar', checks)),
        ...[...patient.keepers.values()]
            .filter(({ node }) => node.address.active && !node.address.lost)
            .map(async (keeper) => {
                const { name, number } = keeper.node.address
                const checks = (await examineNode(patient, complaint, keeper)).filter(isNews)
                return rowsOf(`node ${name}`, [...checks, ...checkParts(keeper, patient.watches.watchers.get(number), figures)])
            })
    ])
    return parts.flat()
}

/** All checks of one node. A node that answers nothing is given up after its time, and called unreachable. */
export async function examineNode(
    { config, coordinatorVersion }: Pick<Patient, 'config' | 'coordinatorVersion'>,
    { patience, owners }: Pick<Complaint, 'patience' | 'owners'>,
    keeper: Keeper
): Promise<readonly Check[]> {
    const { node } = keeper
    const found = async () => {
        const { result } = await keeper.look(true)
        if (!node.up) return { result, facts: undefined }
        const facts = await node.examine(owners[String(node.address.number)] ?? [], patience)
        return { result, facts }
    }
    const late = new Promise<never>((_, fail) => {
        setTimeout(() => fail(new Error(`no answer within ${config.nodeTimeout} ms`)), config.nodeTimeout + 500).unref()
    })
    try {
        const { result, facts } = await Promise.race([found(), late])
        return checkNode(node, result, coordinatorVersion, facts)
    } catch (error) {
        return checkNode({ ...pick(node), up: false }, messageOf(error), coordinatorVersion, undefined)
    }
}

const pick = ({ address, fenceState }: Keeper['node']) => ({ address, fenceState: fenceState === 'held' ? 'not connected' : fenceState })

/** A missing server, user mapping or right is found on the coordinator already, with its cure. */
const isNews = ({ troubles }: Check): boolean =>
    !troubles.some(({ finding }) => /: (foreign server .* does not exist|role pglobalxact has no user mapping)/.test(finding))
