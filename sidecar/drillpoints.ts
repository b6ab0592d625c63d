import type { Canary } from './canary'
import type { Catalog } from './catalog'
import type { Node } from './node'
import type { Resolver } from './resolver'

/** What a fault may need: each harms the canary's own sessions and branches, and nothing else. */
export interface Scene {
    readonly canary: Canary
    readonly node: Node
    readonly catalog: Pick<Catalog, 'endLocalSession'>
    readonly resolver: Pick<Resolver, 'postponed'>
}

export interface Point {
    readonly expected: 'committed' | 'rolled back'
    /** The branch on the drilled node is a program's, which prepares it itself: so a drill can stand between two PREPAREs. */
    readonly enlisted?: true
    /** Returns when it has happened; `mark` tells when it began to. */
    readonly happen: (scene: Scene, mark: () => void) => Promise<void>
}

const LATE = 1000 // ms by which the sidecar is late

/** Its session ends as in a crash of its backend: no ROLLBACK is sent anywhere. */
async function killSession({ canary, catalog }: Scene, mark: () => void): Promise<void> {
    mark()
    if (!(await catalog.endLocalSession(canary.setId))) throw new Error("the canary's session was not found")
}

/** The sidecar writes the decision down, and then does nothing about this one set for a while. */
async function commitUnheard({ canary, resolver }: Scene, mark: () => void): Promise<void> {
    resolver.postponed.set(canary.setId, LATE)
    await canary.commit()
    mark()
}

async function mustFail(canary: Canary): Promise<void> {
    const committed = await canary.commit().then(
        () => true,
        () => false
    )
    if (committed) throw new Error('the COMMIT was to fail, and did not')
}

/** By the words that a DBA types. */
export const POINTS: Readonly<Record<string, Point>> = {
    'no fault': {
        expected: 'committed',
        happen: async ({ canary }, mark) => {
            await canary.commit()
            mark()
        }
    },
    'session killed before commit': { expected: 'rolled back', happen: killSession },
    'session killed between prepares': {
        expected: 'rolled back',
        enlisted: true,
        happen: async (scene, mark) => {
            const { gid, program } = scene.canary.on(scene.node)
            await program!.query(`prepare transaction '${gid}'`)
            await killSession(scene, mark)
        }
    },
    'session killed after prepares': {
        expected: 'rolled back',
        happen: async (scene, mark) => {
            await scene.canary.session.query('set constraints pglobalxact.prepare_set immediate')
            await killSession(scene, mark)
        }
    },
    'node session killed': {
        expected: 'rolled back',
        happen: async ({ canary, node }, mark) => {
            mark()
            // Gone before the COMMIT: else its PREPARE could still get through.
            await canary
                .on(node)
                .eye.query(
                    'select pg_terminate_backend(a.pid, 5000) from pg_catalog.pg_stat_activity a where a.application_name = $1 and a.usename = session_user and a.datname = current_database()',
                    [canary.sessionName]
                )
            await mustFail(canary)
        }
    },
    'prepare refused': {
        expected: 'rolled back',
        enlisted: true,
        happen: async ({ canary, node }, mark) => {
            mark()
            // The program forgot to: the COMMIT finds nothing prepared there. Then it goes away.
            await mustFail(canary)
            await canary.on(node).program!.query('rollback')
        }
    },
    'sidecar late': { expected: 'committed', happen: commitUnheard },
    'finished by hand': {
        expected: 'committed',
        happen: async (scene, mark) => {
            await commitUnheard(scene, mark)
            const { eye, gid } = scene.canary.on(scene.node)
            // Should the sidecar have been told to hurry, by a recover() perhaps, it is done already.
            await eye.query(`commit prepared '${gid}'`).catch(() => undefined)
        }
    }
}
