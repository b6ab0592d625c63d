import { connect } from 'node:net'
import { expect } from 'chai'
import type { Client } from 'pg'
import { clockOfTheMachine, shiftClock } from '../support/clock'
import { startSidecar } from '../support/process'
import { until } from '../support/wait'
import { World } from '../support/world'
import { addRow, expectNoSecret, newStateDir } from './common'
import { metricsUrl, scrape, Scraped } from './scraped'

const FREE_PORT = ['--metrics', '127.0.0.1:0'] as const

describe('the metrics of a running sidecar', () => {
    let world: World
    let client: Client
    before(async () => {
        world = await World.create({ name: 'metrics', proxied: true, sidecarArgs: FREE_PORT })
        client = await world.connect()
    })
    after(() => world.destroy())
    afterEach(async () => {
        await world.proxies.get('b')!.restore()
        await world.settled()
    })

    const now = (): Promise<Scraped> => scrape(world.sidecar!)

    /** Scrapes until it shows this, and returns that scrape. */
    async function shows(name: string, labels: Record<string, string>, wanted: number | ((value: number) => boolean)): Promise<Scraped> {
        return until(`${name} ${JSON.stringify(labels)} is ${String(wanted)}`, async () => {
            const scraped = await now()
            const value = scraped.value(name, labels)
            if (value !== undefined && (typeof wanted === 'number' ? value === wanted : wanted(value))) return scraped
            throw new Error(`it is ${value}`)
        })
    }

    /** A set that is committed and that b has not been told of. */
    async function decidedWithoutB(): Promise<string> {
        const b = world.proxies.get('b')!
        const cut = b.onClientData('COMMIT PREPARED', 'before', () => void b.cut())
        const id = await addRow(world, client)
        await cut
        return id
    }

    it('tell what is well', async () => {
        const before = await now()
        await addRow(world, client)
        await client.query('select pglobalxact.await()')
        const after = await shows(
            'pglobalxact_half_committed_seconds_count',
            {},
            (n) => n > before.value('pglobalxact_half_committed_seconds_count', {})!
        )
        for (const node of ['b', 'c']) {
            const finished = (scraped: Scraped): number =>
                scraped.value('pglobalxact_branches_finished_total', { node, fate: 'committed' }) ?? 0
            expect(finished(after)).to.equal(finished(before) + 1)
            expect(after.value('pglobalxact_node_up', { node })).to.equal(1)
            expect(after.value('pglobalxact_node_fence_held', { node })).to.equal(1)
            expect(after.value('pglobalxact_node_prepared_slots_max', { node })).to.be.greaterThan(0)
            expect(after.value('pglobalxact_node_queue_length', { node })).to.equal(0)
            expect(after.value('pglobalxact_branches_left_alone', { node })).to.equal(0)
        }
        expect(after.value('pglobalxact_acting')).to.equal(1)
        expect(after.value('pglobalxact_coordinator_up')).to.equal(1)
        expect(after.value('pglobalxact_state_writable')).to.equal(1)
        expect(after.value('pglobalxact_state_sync_seconds_count')).to.be.greaterThan(0)
        expect(after.value('pglobalxact_state_sync_lines_sum')).to.be.at.least(3) // two branches and the phase
        expect(after.value('pglobalxact_build_info', { version: '0.1.0' })).to.equal(1)
        const figures = await shows('pglobalxact_unacknowledged_sets', { outcome: 'mixed' }, 0)
        expect(figures.value('pglobalxact_lost_nodes')).to.equal(0)
        expect(figures.value('pglobalxact_paused')).to.equal(0)
        expect(figures.value('pglobalxact_events', { kind: 'mixed' })).to.equal(0)
    })

    it('tell how far clocks are apart, and how far they may be where one is kept', async () => {
        const alike = await shows('pglobalxact_node_clock_ahead_seconds', { node: 'c' }, (ahead) => Math.abs(ahead) < 1)
        expect(alike.value('pglobalxact_clock_tolerance_seconds')).to.equal(undefined)
        await world.sql("select pglobalxact.keep_clock('1.5 seconds')")
        await shiftClock(world, 'b', '-1 hour')
        try {
            await shows('pglobalxact_node_clock_ahead_seconds', { node: 'b' }, (ahead) => ahead > -3601 && ahead < -3500)
            await shows('pglobalxact_clock_tolerance_seconds', {}, 1.5)
        } finally {
            await clockOfTheMachine(world, 'b')
            await world.sql('select pglobalxact.stop_clock()')
        }
        await until('no clock is kept', async () => (await now()).value('pglobalxact_clock_tolerance_seconds') === undefined)
    })

    it('name and explain everything they hold, and the process too', async () => {
        const { samples, types, helps, text } = await now()
        for (const { name } of samples) {
            const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')
            expect(types.has(family) && (helps.get(family)?.length ?? 0) > 10, name).to.equal(true)
            expect(family).to.match(/^(pglobalxact|process|nodejs)_/)
        }
        expect(types.get('process_resident_memory_bytes')).to.equal('gauge')
        expect(types.get('process_cpu_seconds_total')).to.equal('counter')
        expect(text.endsWith('\n')).to.equal(true)
    })

    it('hold no password, no set id and no gid, whatever happens', async () => {
        const id = await decidedWithoutB()
        const { text, samples } = await shows('pglobalxact_sets', { phase: 'incomplete' }, 1)
        expectNoSecret(text)
        expect(text)
            .to.not.contain(id)
            .and.not.match(/pgx_[0-9a-f]{8}/)
        const labels = samples.filter(({ name }) => name.startsWith('pglobalxact_')).flatMap((one) => Object.keys(one.labels))
        expect([...new Set(labels)].sort()).to.deep.equal(
            ['class', 'fate', 'kind', 'le', 'node', 'outcome', 'phase', 'result', 'version'].filter((name) => labels.includes(name))
        )
        expect(new Set(labels).size).to.be.greaterThan(5)
    })

    it('tell of a node that is down, and how long its branch is in doubt, which a restart does not forget', async () => {
        const windows = (await now()).value('pglobalxact_half_committed_seconds_count')!
        await decidedWithoutB()
        const down = await shows('pglobalxact_node_up', { node: 'b' }, 0)
        expect(down.value('pglobalxact_node_fence_held', { node: 'b' })).to.equal(0)
        expect(down.value('pglobalxact_node_prepared_slots_max', { node: 'b' })).to.equal(undefined)
        expect(down.value('pglobalxact_node_up', { node: 'c' })).to.equal(1)
        expect(down.value('pglobalxact_branches_unfinished', { node: 'b' })).to.equal(1)
        await shows('pglobalxact_branches_unfinished', { node: 'c' }, 0)
        expect(down.value('pglobalxact_state_sets')).to.equal(1)
        const grown = await shows('pglobalxact_in_doubt_age_seconds', { node: 'b' }, (age) => age > 2)
        const age = grown.value('pglobalxact_in_doubt_age_seconds', { node: 'b' })!
        expect((await now()).value('pglobalxact_in_doubt_age_seconds', { node: 'b' })).to.be.greaterThan(age)

        await world.sidecar!.kill()
        await world.startSidecar()
        const again = await shows('pglobalxact_branches_unfinished', { node: 'b' }, 1)
        expect(again.value('pglobalxact_in_doubt_age_seconds', { node: 'b' })).to.be.greaterThan(age)
        expect(again.value('pglobalxact_sets', { phase: 'incomplete' })).to.equal(1)

        await world.proxies.get('b')!.restore()
        const up = await shows('pglobalxact_in_doubt_age_seconds', { node: 'b' }, 0)
        expect(up.value('pglobalxact_node_up', { node: 'b' })).to.equal(1)
        expect(up.value('pglobalxact_sets', { phase: 'incomplete' })).to.equal(0)
        // This process has counted one set, and that one stood half-committed since before it began.
        expect(windows).to.be.greaterThan(0)
        expect(up.value('pglobalxact_half_committed_seconds_count')).to.equal(1)
        expect(up.value('pglobalxact_half_committed_seconds_sum')).to.be.greaterThan(age)
    })

    it('tell of a branch that is prepared and undecided', async () => {
        await client.query('begin')
        const { gid } = (await client.query<{ gid: string }>("select pglobalxact.enlist('b') as gid")).rows[0]!
        await world.node('b', `begin; set local role node_app; insert into account values (7001, 0); prepare transaction '${gid}'`)
        const open = await shows('pglobalxact_sets', { phase: 'prepare' }, 1)
        expect(open.value('pglobalxact_in_doubt_age_seconds', { node: 'b' })).to.be.greaterThan(0)
        expect(open.value('pglobalxact_branches_unfinished', { node: 'b' })).to.equal(0)
        await client.query('commit')
        await shows('pglobalxact_in_doubt_age_seconds', { node: 'b' }, 0)
    })

    it('count what could not be done at once, by class of error', async () => {
        await client.query('begin')
        const { gid } = (await client.query<{ gid: string }>("select pglobalxact.enlist('b') as gid")).rows[0]!
        // By a role that the sidecar is no member of.
        await world.node('b', `begin; insert into account values (7002, 0); prepare transaction '${gid}'`)
        await client.query('commit')
        await shows('pglobalxact_branch_retries_total', { node: 'b', class: '42' }, (n) => n >= 2)
        await world.node('b', `commit prepared '${gid}'`)
        await shows('pglobalxact_branches_finished_total', { node: 'b', fate: 'committed' }, (n) => n >= 1)
    })

    it('tell of branches that nobody here may decide', async () => {
        const [{ id }] = (await world.sql<{ id: string }>('select id from pglobalxact.coordinator')) as [{ id: string }]
        await world.node('b', `begin; create table made_by_a_twin (); prepare transaction 'pgx_${id}_77_deadbeef_1'`)
        const seen = await shows('pglobalxact_branches_left_alone', { node: 'b' }, 1)
        expect(seen.value('pglobalxact_in_doubt_age_seconds', { node: 'b' })).to.equal(0)
        await world.node('b', `rollback prepared 'pgx_${id}_77_deadbeef_1'`)
        await shows('pglobalxact_branches_left_alone', { node: 'b' }, 0)
    })

    it('count what people forced, in the database, and what they asked for', async () => {
        const asked = (await now()).value('pglobalxact_requests_total', { result: 'done' })!
        const id = await decidedWithoutB()
        await shows('pglobalxact_node_up', { node: 'b' }, 0)
        await world.admin('select * from pglobalxact.force_commit($1, $2, $3, confirm => $4)', [id, 'b', 'test', 'yes'])
        const forced = await shows('pglobalxact_events', { kind: 'forced commit' }, 1)
        expect(forced.value('pglobalxact_branches_finished_total', { node: 'b', fate: 'forced commit' })).to.equal(1)
        expect(forced.value('pglobalxact_requests_total', { result: 'done' })).to.equal(asked + 1)
        await world.admin("select * from pglobalxact.retry('1_00000000')").catch(() => undefined)
        await shows('pglobalxact_requests_total', { result: 'refused' }, (n) => n >= 1)
        await world.proxies.get('b')!.restore()
        await until('b has its branch', async () => (await world.prepared()).length === 0)
    })

    it('tell of a mixed set until it is acknowledged, through restarts', async () => {
        await world.sidecar!.stop()
        const id = await addRow(world, client)
        const [gid] = (await world.prepared()).filter((one) => one.endsWith('_1'))
        await world.node('b', `rollback prepared '${gid}'`)
        await world.startSidecar()
        const mixed = await shows('pglobalxact_unacknowledged_sets', { outcome: 'mixed' }, 1)
        expect(mixed.value('pglobalxact_events', { kind: 'mixed' })).to.equal(1)
        expect(mixed.value('pglobalxact_branches_finished_total', { node: 'b', fate: 'rolled back' })).to.equal(1)
        await world.sidecar!.kill()
        await world.startSidecar()
        const again = await shows('pglobalxact_unacknowledged_sets', { outcome: 'mixed' }, 1)
        expect(again.value('pglobalxact_events', { kind: 'mixed' }), 'told once').to.equal(1)
        await world.admin('select pglobalxact.acknowledge($1, $2)', [id, 'test'])
        await shows('pglobalxact_unacknowledged_sets', { outcome: 'mixed' }, 0)
    })

    it('tell that the coordinator is lost, and are served all the same', async () => {
        const url = (await metricsUrl(world.sidecar!)).replace('/metrics', '/healthz')
        expect(await (await fetch(url)).text()).to.equal('acting\n')
        const elsewhere = (sql: string): Promise<unknown> => world.coordinator.query(sql, [], 'postgres')
        try {
            await elsewhere(`alter database ${world.database} allow_connections false`)
            await elsewhere(
                `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${world.database}' and usename = 'pglobalxact'`
            )
            const lost = await shows('pglobalxact_coordinator_up', {}, 0)
            expect(lost.value('pglobalxact_acting')).to.equal(0)
            expect(lost.value('pglobalxact_node_up', { node: 'b' })).to.equal(1)
            expect(await (await fetch(url)).text()).to.equal('coordinator lost\n')
        } finally {
            await elsewhere(`alter database ${world.database} allow_connections true`)
        }
        await shows('pglobalxact_acting', {}, 1)
    })

    it('tell that a sidecar waits, of which nothing else is known', async () => {
        const other = startSidecar({ stateDir: newStateDir(), databaseUrl: world.sidecarUrl, args: FREE_PORT })
        try {
            await other.waitForLog(/is not allowed to act/)
            const scraped = await scrape(other)
            expect(scraped.value('pglobalxact_acting')).to.equal(0)
            expect(scraped.value('pglobalxact_coordinator_up')).to.equal(1)
            expect(await (await fetch((await metricsUrl(other)).replace('/metrics', '/healthz'))).text()).to.equal('waiting\n')
            for (const name of ['pglobalxact_lost_nodes', 'pglobalxact_paused', 'pglobalxact_state_bytes', 'pglobalxact_unwritten_results'])
                expect(scraped.value(name), name).to.equal(undefined)
            expect(scraped.samples.filter(({ name }) => /^pglobalxact_(sets|events|node_|unack)/.test(name))).to.deep.equal([])
        } finally {
            await other.stop()
        }
    })

    describe('over HTTP', () => {
        let url: URL
        before(async () => {
            url = new URL(await metricsUrl(world.sidecar!))
        })

        /** Sends these bytes and returns all that comes until the other side closes. */
        function raw(text: string): Promise<string> {
            return new Promise((done, fail) => {
                let answer = ''
                const socket = connect(Number(url.port), url.hostname, () => socket.write(text))
                socket.setTimeout(15_000, () => socket.destroy(new Error(`not closed; it answered ${answer}`)))
                socket.on('data', (data) => (answer += data.toString()))
                socket.on('error', fail)
                socket.on('close', () => done(answer))
            })
        }

        it('answer GET /metrics and GET /healthz, and 404 to everything else', async () => {
            for (const path of ['/metrics', '/healthz', '/metrics?debug=1'])
                expect((await fetch(new URL(path, url))).status, path).to.equal(200)
            for (const path of ['/', '/metrics/', '/Metrics', '/healthz/x', '/debug', '//metrics'])
                expect((await fetch(`${url.origin}${path}`)).status, path).to.equal(404)
            for (const method of ['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'])
                expect((await fetch(url, { method })).status, method).to.equal(404)
        })

        it('read no body: what announces one is answered and closed', async () => {
            const announced = await raw(`POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n`)
            expect(announced).to.match(/^HTTP\/1\.1 404 [^]*\r\nConnection: close\r\n/)
            const asked = await raw(`GET /metrics HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`)
            expect(asked).to.match(/^HTTP\/1\.1 200 OK\r\n/)
        })

        it('survive what is no HTTP, and a request that never ends', async () => {
            expect(await raw('\u0016\u0003\u0001\u0002\r\n\r\n')).to.match(/^HTTP\/1\.1 400 /)
            expect(await raw('GET /metrics HTTP/1.1\r\nHost: x\r\n')).to.match(/^HTTP\/1\.1 408 /)
            expect((await fetch(url)).status).to.equal(200)
        })
    })
})
