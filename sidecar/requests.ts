import { audit } from './audit'
import { drill } from './drill'
import { examineNode, type Complaint } from './doctor'
import { force } from './force'
import { describe } from './liveset'
import { forget, loseNode } from './lose'
import { itemOf } from './nodecheck'
import { preparedNow } from './plan'
import { lookAtPrepared } from './prepared'
import type { CommittedBranch, Request } from './records'
import { reconcile } from './reconcile'
import { RequestError, UNKNOWN_OBJECT, unknownSet, WRONG_STATE, type RequestParts } from './request'
import type { Manifest } from './restorepoints'
import { messageOf, property, sqlstateOf } from './sqlstate'
import type { Mode } from './waitgraph'
import { keepChanges, unwatchNode, watchNode } from './watch/watchrequests'

interface BranchResult {
    readonly node: string
    readonly result: string
}

/** Carries out what a DBA asked for. The daemon's verbs and the DBA's are the same code: Keeper.look, Resolver.attempt. */
export class Requests {
    constructor(private readonly parts: RequestParts) {}

    async serve(): Promise<void> {
        const requests = await this.parts.catalog.takeRequests()
        await Promise.all(requests.map((request) => this.answer(request)))
    }

    private async answer(request: Request): Promise<void> {
        try {
            const result = await this.carryOut(request)
            await this.parts.fault.at('before answer')
            await this.parts.catalog.answerRequest(request.id, result, undefined)
            this.parts.tally.answered('done')
        } catch (error) {
            this.parts.tally.answered('refused')
            this.parts.log.info('request refused', { request: request.id, kind: request.kind, error: messageOf(error) })
            await this.parts.catalog.answerRequest(request.id, undefined, {
                message: messageOf(error),
                sqlstate: error instanceof RequestError ? error.sqlstate : (sqlstateOf(error) ?? 'XX000'),
                detail: error instanceof RequestError ? error.detail : (property(error, 'detail') ?? ''),
                hint: error instanceof RequestError ? error.hint : (property(error, 'hint') ?? '')
            })
        }
    }

    private carryOut({ id, kind, arguments: given }: Request): Promise<unknown> {
        const text = (name: string): string => String(given[name] ?? '')
        const optional = (name: string): string | undefined => (typeof given[name] === 'string' ? given[name] : undefined)
        switch (kind) {
            case 'state_lines':
                return Promise.resolve(this.parts.state.linesOf(given['set'] === null ? undefined : text('set')))
            case 'recover':
                return this.recover()
            case 'retry':
                return this.retry(text('set'))
            case 'force':
                return force(this.parts, {
                    action: text('action') === 'commit' ? 'commit' : 'rollback',
                    set: text('set'),
                    reason: text('reason'),
                    by: text('by'),
                    node: optional('node'),
                    acceptMixed: given['accept_mixed'] === true,
                    confirm: optional('confirm')
                })
            case 'lose_node':
                return loseNode(this.parts, text('node'), { reason: text('reason'), by: text('by'), confirm: optional('confirm') })
            case 'forget':
                return forget(this.parts, text('set'), { reason: text('reason'), by: text('by'), confirm: optional('confirm') })
            case 'acknowledge':
                return this.parts.catalog.acknowledge(text('set'), text('by'), text('reason')).then((outcome) => ({ outcome }))
            case 'prepared':
                return lookAtPrepared(this.parts, Number(given['most']))
            case 'export_snapshots':
                return this.parts.snapshots.export(this.parts, {
                    id,
                    nodes: Array.isArray(given['nodes']) ? given['nodes'].map(String) : undefined,
                    limit: Number(given['timeout']),
                    keep: Number(given['keep'])
                })
            case 'release_snapshots':
                return this.parts.snapshots
                    .release(given['export'] === null ? undefined : text('export'))
                    .then((released) => ({ released }))
            case 'create_restore_point':
                return this.parts.restorePoints.create(this.parts, {
                    name: text('name'),
                    nodes: Array.isArray(given['nodes']) ? given['nodes'].map(String) : undefined,
                    limit: Number(given['timeout']),
                    by: text('by')
                })
            case 'reconcile':
                return reconcile(this.parts, {
                    manifest: given['manifest'] as Manifest,
                    committed: Array.isArray(given['committed']) ? (given['committed'] as CommittedBranch[]) : undefined,
                    by: text('by')
                })
            case 'lock_waits':
                return this.parts.lockWaits()
            case 'deadlocks':
                return this.parts.deadlocks()
            case 'detect_deadlocks':
                return this.parts.detectDeadlocks(text('mode') as Mode, text('by'))
            case 'add_node':
                return this.addNode(text('server'), text('by'))
            case 'check_node':
                return this.checkNode(text('server'))
            case 'watch_node':
                return watchNode(this.parts, {
                    server: text('server'),
                    publication: text('publication'),
                    allGids: given['all_gids'] === true,
                    maxWal: text('max_wal'),
                    by: text('by')
                })
            case 'unwatch_node':
                return unwatchNode(this.parts, text('server'), given['abandon'] === true)
            case 'keep_changes':
                return keepChanges(this.parts, text('set'))
            case 'doctor':
                return this.parts.refreshNodes().then(() => this.parts.doctor(given as unknown as Complaint))
            case 'verify':
                return audit(this.parts, {
                    request: id,
                    since: text('since'),
                    batch: Number(given['batch']),
                    pause: Number(given['pause'])
                })
            case 'drill':
                return drill(this.parts, {
                    request: id,
                    point: text('point'),
                    node: text('node'),
                    canary: optional('canary'),
                    timeout: Number(given['timeout'])
                })
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
            const present = await preparedNow(this.parts, id)
            if (present.size === 0 && passes.every((pass) => pass.rolled_back === 0)) throw unknownSet(id)
            return passes.map((pass) => ({ node: pass.node, result: pass.result === 'ok' ? 'settled by the decision rule' : pass.result }))
        }
        await Promise.all([...live.branches.keys()].map((node) => this.parts.keepers.get(node)?.look(true)))
        await Promise.all([...live.branches.values()].map((branch) => this.parts.resolver.attempt(branch)))
        this.parts.resolver.tellProgress()
        await this.parts.resolver.writeBack()
        return [...live.branches.values()].map((branch) => ({ node: this.nameOf(branch.facts.node), result: describe(branch) }))
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
            throw new RequestError(UNKNOWN_OBJECT, `node "${server}" does not exist`, 'See: select * from pglobalxact.nodes();')
        const checks = await examineNode(this.parts, { patience: '5 minutes', owners: await this.parts.catalog.branchOwners() }, keeper)
        return checks.map(itemOf)
    }

    private nameOf(node: number): string {
        return this.parts.keepers.get(node)?.node.address.name ?? `node ${node}`
    }
}
