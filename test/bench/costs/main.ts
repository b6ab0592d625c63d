/**
 * make bench-costs: what watching, the deadlock detector, consumers of events, clocks, verify, snapshots and restore points cost,
 * in turns with the same load without them. REPORT=1 writes test/reports/costs.md.
 */
import { number, tearDown } from '../../chaos/harness'
import { Ground } from '../ground'
import { abortTimes, measureCosts, REFUSED, withFeature, type CostOptions } from './costs'
import { FEATURES, OFF } from './features'
import { report } from './report'

const MORE = { max_replication_slots: 10, max_wal_senders: 10 }

async function main(): Promise<number> {
    const options: CostOptions = {
        sessions: number('SESSIONS', 8),
        rounds: number('ROUNDS', 5),
        seconds: number('SECONDS', 2),
        idleSeconds: number('IDLE', 3),
        aborts: number('ABORTS', 20)
    }
    const ground = await Ground.create({ more: { ...MORE, wal_level: 'logical' } })
    const plain = await Ground.create({ more: { ...MORE, wal_level: 'replica' } })
    try {
        for (const one of [ground, plain]) {
            await one.widen(2)
            await one.control.query(REFUSED)
        }
        const told = ({ feature, cell, held }: { feature: string; cell: { rate: number }; held: readonly number[] }): void =>
            console.log(
                `  ${feature.padEnd(12)} ${cell.rate.toFixed(0).padStart(6)}/s${held.length > 0 ? `  commits held ${held.length} times` : ''}`
            )
        const rounds = await measureCosts(ground, plain, options, told)
        const watched = FEATURES.find(({ name }) => name === 'watched')!
        const aborts = {
            off: await withFeature(ground, OFF, () => abortTimes(ground, options.aborts)),
            watched: await withFeature(ground, watched, () => abortTimes(ground, options.aborts))
        }
        report({ options, rounds, aborts })
        return 0
    } finally {
        await Promise.all([ground.destroy(), plain.destroy()])
    }
}

void tearDown(main)
