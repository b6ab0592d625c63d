import type { Catalog, Request } from './catalog'
import type { Log } from './log'
import { checkNode } from './nodecheck'
import { lookAtPrepared } from './prepared'
import { makeGid, parseGid, setId, type Action } from './protocol'
import type { Keeper } from './recovery'
import type { Branch, Resolver } from './resolver'
import { messageOf, property, sqlstateOf } from './sqlstate'
import type { StateFile } from './statefile'

/** An answer that becomes an ERROR in the psql of whoever asked. */
class RequestError extends Error {
    constructor(
        readonly sqlstate: string,
        message: string,
        readonly hint: string,
        readonly detail = ''
    ) {
        super(message)
    }
}

const UNKNOWN_SET = '42704'
const WRONG_STATE = '55000'

interface Parts {
    readonly coordinator: string
    readonly coordinatorVersion: number
    readonly catalog: Catalog
    readonly state: StateFile
    readonly resolver: Resolver
    readonly keepers: ReadonlyMap<number, Keeper>
    readonly log: Log
    readonly refreshNodes: () => Promise<void>
}

interface BranchResult {
    readonly node: string
    readonly result: string
}

/** Carries out what a DBA asked for. The daemon's verbs and the DBA's are the same code: Keeper.look, Resolver.attempt. */
export class Requests {
    constructor(private readonly parts: Parts) {}

    async serve(): Promise<void> {
        const requests = await this.parts.catalog.takeRequests()
        await Promise.all(requests.map((request) => this.answer(request)))
    }

    private async answer(request: Request): Promise<void> {
        try {
            const result = await this.carryOut(request.kind, request.arguments)
            await this.parts.catalog.answerRequest(request.id, result, undefined)
        } catch (error) {
            this.parts.log.info('request refused', { request: request.id, kind: request.kind, error: messageOf(error) })
            await this.parts.catalog.answerRequest(request.id, undefined, {
                message: messageOf(error),
                sqlstate: error instanceof RequestError ? error.sqlstate : (sqlstateOf(error) ?? 'XX000'),
                detail: error instanceof RequestError ? error.detail : (property(error, 'detail') ?? ''),
                hint: error instanceof RequestError ? error.hint : (property(error, 'hint') ?? '')
            })
        }
    }

    private carryOut(kind: string, given: Readonly<Record<string, unknown>>): Promise<unknown> {
        const text = (name: string): string => String(given[name] ?? '')
        switch (kind) {
            case 'state_lines':
                return Promise.resolve(this.parts.state.linesOf(given['set'] === null ? undefined : text('set')))
            case 'recover':
                return this.recover()
            case 'retry':
                return this.retry(text('set'))
            case 'force':
                return this.force({
                    action: text('action') === 'commit' ? 'commit' : 'rollback',
                    set: text('set'),
                    reason: text('reason'),
                    by: text('by'),
                    node: typeof given['node'] === 'string' ? given['node'] : undefined,
                    acceptMixed: given['accept_mixed'] === true
                })
            case 'acknowledge':
                return this.parts.catalog.acknowledge(text('set'), text('by'), text('reason')).then((outcome) => ({ outcome }))
            case 'prepared':
                return lookAtPrepared(this.parts, Number(given['most']))
            case 'add_node':
                return this.addNode(text('server'), text('by'))
            case 'check_node':
                return this.checkNode(text('server'))
            default:
                throw new RequestError(
                    '0A000',
                    `this sidecar does not know the request "${kind}"`,
                    'It is older than the schema: install the same version of both.'
                )
        }
    }

    private async recover(): Promise<unknown> {
        await this.parts.refreshNodes()
        const passes = await Promise.all([...this.parts.keepers.values()].map((keeper) => keeper.look(true)))
        this.parts.resolver.tellProgress()
        await this.parts.resolver.writeBack()
        return passes.sort((a, b) => a.node.localeCompare(b.node))
    }

    private async retry(id: string): Promise<readonly BranchResult[]> {
        const live = this.parts.resolver.sets.get(id)
        if (live === undefined) {
            const standing = await this.parts.catalog.standing(id)
            if (standing?.standing === 'committed')
                throw new RequestError(
                    WRONG_STATE,
                    `set "${id}" is complete: there is nothing to retry`,
                    `See: select * from pglobalxact.branches('${id}');`
                )
            if (standing?.standing === 'running')
                throw new RequestError(
                    WRONG_STATE,
                    `the local transaction of set "${id}" is still running`,
                    'It is decided when that transaction ends.'
                )
            const passes = await Promise.all([...this.parts.keepers.values()].map((keeper) => keeper.look(true)))
            const gids = await this.preparedBranches(id)
            if (gids.size === 0 && passes.every((pass) => pass.rolled_back === 0)) throw unknownSet(id)
            return passes.map((pass) => ({ node: pass.node, result: pass.result === 'ok' ? 'settled by the decision rule' : pass.result }))
        }
        await Promise.all([...live.branches.keys()].map((node) => this.parts.keepers.get(node)?.look(true)))
        await Promise.all([...live.branches.values()].map((branch) => this.parts.resolver.attempt(branch)))
        this.parts.resolver.tellProgress()
        await this.parts.resolver.writeBack()
        return [...live.branches.values()].map((branch) => this.describe(branch))
    }

    private async force(order: Order): Promise<readonly BranchResult[]> {
        const { catalog } = this.parts
        const first = await catalog.standing(order.set)
        let prepared = await this.preparedBranches(order.set)
        if (first?.standing === 'running') await this.endRunning(order, prepared.size > 0 || first.pid !== null)
        const standing = first?.standing === 'running' ? await this.waitUntilFinished(order.set) : first?.standing
        this.checkAgainstDecision(order, standing ?? undefined)
        prepared = await this.preparedBranches(order.set)
        const recorded = standing === 'committed' ? await this.openBranches(order.set) : []
        const gids = new Map([...prepared].map(([node, { gid }]) => [node, gid]))
        for (const branch of recorded) gids.set(branch.facts.node, branch.facts.gid)
        if (gids.size === 0 && first?.standing !== 'running') throw this.nothingToForce(order.set, standing ?? undefined)
        const chosen = [...gids].filter(([node]) => order.node === undefined || this.nameOf(node) === order.node)
        if (chosen.length === 0 && gids.size > 0) {
            throw new RequestError(
                UNKNOWN_SET,
                `set "${order.set}" has no unfinished branch on node "${order.node}"`,
                `See: select * from pglobalxact.branches('${order.set}');`
            )
        }
        if (chosen.length === 0) await catalog.noteEvent(`forced ${order.action}`, order.set, undefined, `${order.by}: ${order.reason}`)
        await catalog.recordForced(
            chosen.map(([, gid]) => gid),
            order.action,
            order.by,
            order.reason,
            order.acceptMixed
        )
        this.parts.log.warning(`force_${order.action}`, {
            set: order.set,
            by: order.by,
            reason: order.reason,
            branches: chosen.map(([, gid]) => gid).join(',')
        })
        const results = await Promise.all(chosen.map(([node, gid]) => this.forceBranch(order, node, gid, prepared.get(node)?.owner)))
        this.parts.resolver.tellProgress()
        await this.parts.resolver.writeBack()
        if (results.length === 0)
            return [{ node: '(all)', result: 'the session of its local transaction was ended; nothing was prepared yet' }]
        return results.sort((a, b) => a.node.localeCompare(b.node))
    }

    private async forceBranch(order: Order, number: number, gid: string, owner: string | undefined): Promise<BranchResult> {
        const live = this.parts.resolver.find(order.set, number)
        const node = this.parts.keepers.get(number)?.node
        const name = this.nameOf(number)
        if (live !== undefined) {
            live.action = order.action
            await this.parts.resolver.attempt(live)
            if (live.fate === undefined && (node === undefined || !node.up)) {
                this.parts.resolver.giveUp(live)
                return {
                    node: name,
                    result: `${order.action} recorded: the node does not answer; it is no longer waited for, and the order is carried out if it returns`
                }
            }
            return this.describe(live)
        }
        if (node === undefined || !node.up) return { node: name, result: `${order.action} recorded: carried out when the node returns` }
        const answer = await node.finish(order.action, gid, owner)
        return {
            node: name,
            result: answer.ok
                ? order.action === 'commit'
                    ? 'committed'
                    : 'rolled back'
                : `${order.action} recorded, tried again: ${answer.problem.message}`
        }
    }

    private async endRunning(order: Order, exists: boolean): Promise<void> {
        if (!exists) throw unknownSet(order.set)
        if (order.action === 'commit') {
            throw new RequestError(
                WRONG_STATE,
                `the local transaction of set "${order.set}" is still running: it cannot be forced to commit`,
                'COMMIT in its own session; or force_rollback, which ends that session first.'
            )
        }
        await this.parts.catalog.endLocalSession(order.set).catch((error: unknown) => {
            throw property(error, 'code') === '42501' ? cannotEnd(order.set) : error
        })
    }

    private async waitUntilFinished(id: string): Promise<string | undefined> {
        const deadline = Date.now() + 10_000
        for (;;) {
            const now = (await this.parts.catalog.standing(id))?.standing
            if (now !== 'running') return now ?? undefined
            if (Date.now() > deadline) throw cannotEnd(id)
            await new Promise((done) => setTimeout(done, 20))
        }
    }

    private checkAgainstDecision(order: Order, standing: string | undefined): void {
        const against =
            (standing === 'committed' && order.action === 'rollback') || (standing === 'rolled back' && order.action === 'commit')
        if (against && !order.acceptMixed) {
            throw new RequestError(
                WRONG_STATE,
                `set "${order.set}" is decided: its local transaction ${standing === 'committed' ? 'committed' : 'did not commit'}`,
                `force_${order.action === 'commit' ? 'rollback' : 'commit'} goes with the decision. To go against it, and have a mixed set, add accept_mixed => true.`
            )
        }
    }

    private nothingToForce(id: string, standing: string | undefined): RequestError {
        if (standing === 'committed')
            return new RequestError(
                WRONG_STATE,
                `set "${id}" is complete: there is nothing to force`,
                `See: select * from pglobalxact.branches('${id}');`
            )
        if (standing === 'rolled back')
            return new RequestError(
                WRONG_STATE,
                `set "${id}" is not prepared on any node that answers: there is nothing to force`,
                'Its local transaction did not commit; a branch on a node that returns later is rolled back by itself.'
            )
        return unknownSet(id)
    }

    /** Branches of a set that are prepared on the nodes that answer, looked at now. */
    private async preparedBranches(id: string): Promise<Map<number, { readonly gid: string; readonly owner: string }>> {
        const found = new Map<number, { readonly gid: string; readonly owner: string }>()
        await Promise.all(
            [...this.parts.keepers.values()].map(async ({ node }) => {
                const scan = node.up ? await node.scan().catch(() => undefined) : undefined
                for (const { gid, owner } of scan?.prepared ?? []) {
                    const part = parseGid(gid)
                    if (part !== undefined && setId(part) === id && part.node === node.address.number) found.set(part.node, { gid, owner })
                }
            })
        )
        return found
    }

    private async openBranches(id: string): Promise<Branch[]> {
        if (!this.parts.resolver.sets.has(id)) {
            const sets = (await this.parts.catalog.lookAgain([id])).filter((set) => set.outcome === null)
            await this.parts.resolver.decide(sets, (node) => this.parts.keepers.get(node)?.node.address.uri ?? 'postgresql://')
        }
        return [...(this.parts.resolver.sets.get(id)?.branches.values() ?? [])].filter((branch) => branch.fate === undefined)
    }

    private async addNode(server: string, by: string): Promise<unknown> {
        await this.parts.catalog.registerNode(server, by)
        await this.parts.refreshNodes()
        return this.checkNode(server)
    }

    private async checkNode(server: string): Promise<unknown> {
        await this.parts.refreshNodes()
        const keeper = [...this.parts.keepers.values()].find((one) => one.node.address.name === server)
        if (keeper === undefined)
            throw new RequestError(UNKNOWN_SET, `node "${server}" does not exist`, 'See: select * from pglobalxact.nodes();')
        const pass = await keeper.look(true)
        return checkNode(keeper.node, pass.result, this.parts.coordinatorVersion)
    }

    private describe(branch: Branch): BranchResult {
        const node = this.nameOf(branch.facts.node)
        if (branch.fate !== undefined) return { node, result: branch.fate }
        const reason =
            branch.problem?.message ?? (branch.durable ? 'the node does not answer' : 'its decision cannot be written to the state files')
        return { node, result: `not yet ${branch.action === 'commit' ? 'committed' : 'rolled back'}: ${reason}` }
    }

    private nameOf(node: number): string {
        return (
            this.parts.keepers.get(node)?.node.address.name ?? makeGid({ coordinator: this.parts.coordinator, xid: '0', nonce: '', node })
        )
    }
}

interface Order {
    readonly action: Action
    readonly set: string
    readonly node: string | undefined
    readonly reason: string
    readonly by: string
    readonly acceptMixed: boolean
}

const cannotEnd = (id: string): RequestError =>
    new RequestError(
        WRONG_STATE,
        `the session of set "${id}" could not be ended`,
        "Role pglobalxact needs membership in pg_signal_backend (and cannot end a superuser's session): end it by hand with pg_terminate_backend, then ask again."
    )

const unknownSet = (id: string): RequestError =>
    new RequestError(
        UNKNOWN_SET,
        `set "${id}" is not known: no commit record, no session, and no branch on any node that answers`,
        'See: select * from pglobalxact.sets();'
    )
