import { expect } from 'chai'
import { readConfig, usage, type Config, type Endpoint } from '../../sidecar/config'
import { FAULT_POINTS } from '../../sidecar/fault'
import { Refusal } from '../../sidecar/refusal'

const DEFAULTS: Config = {
    stateDir: '/state',
    databaseUrl: '',
    scanInterval: 1000,
    connectionsPerNode: 16,
    nodeTimeout: 10_000,
    retryCap: 30_000,
    segmentBytes: 4_194_304,
    lostSets: 'report',
    metrics: { host: '127.0.0.1', port: 19187, given: false },
    faultPoint: ''
}
const RUN = ['run', '--state-dir', '/state']

const run = (args: readonly string[] = [], env: Record<string, string> = {}): Config => readConfig([...RUN, ...args], env).config

function refusal(args: readonly string[], env: Record<string, string> = {}): Refusal {
    try {
        readConfig(args, env)
    } catch (error) {
        expect(error).to.be.instanceOf(Refusal)
        return error as Refusal
    }
    throw new Error(`${args.join(' ')} was accepted`)
}

/** flag, variable, a good value, what it reads as. */
const OPTIONS: readonly (readonly [keyof Config, string, string, string, string | number | Endpoint | undefined])[] = [
    ['stateDir', 'state-dir', 'PGLOBALXACT_STATE_DIR', '/x', '/x'],
    ['databaseUrl', 'database-url', 'PGLOBALXACT_DATABASE_URL', 'postgresql://h/d', 'postgresql://h/d'],
    ['scanInterval', 'scan-interval', 'PGLOBALXACT_SCAN_INTERVAL', '50', 50],
    ['connectionsPerNode', 'connections-per-node', 'PGLOBALXACT_CONNECTIONS_PER_NODE', '64', 64],
    ['nodeTimeout', 'node-timeout', 'PGLOBALXACT_NODE_TIMEOUT', '100', 100],
    ['retryCap', 'retry-cap', 'PGLOBALXACT_RETRY_CAP', '3600000', 3_600_000],
    ['segmentBytes', 'segment-bytes', 'PGLOBALXACT_SEGMENT_BYTES', '4096', 4096],
    ['lostSets', 'lost-sets', 'PGLOBALXACT_LOST_SETS', 'rollback', 'rollback'],
    ['metrics', 'metrics', 'PGLOBALXACT_METRICS', '[::1]:9', { host: '::1', port: 9, given: true }],
    ['faultPoint', 'fault-point', 'PGLOBALXACT_FAULT_POINT', 'after state line', 'after state line']
]

describe('the configuration', () => {
    it('has its documented defaults', () => expect(run()).to.deep.equal(DEFAULTS))

    it('is covered by this test, option by option', () => {
        expect(OPTIONS.map(([key]) => key)).to.have.members(Object.keys(DEFAULTS))
    })

    for (const [key, flag, variable, text, value] of OPTIONS) {
        it(`reads --${flag} and ${variable}, and the flag wins`, () => {
            expect(readConfig(['run', '--state-dir', '/state', `--${flag}`, text], {}).config[key]).to.deep.equal(value)
            expect(readConfig(['run', `--${flag}=${text}`], { PGLOBALXACT_STATE_DIR: '/state' }).config[key]).to.deep.equal(value)
            expect(readConfig(['run'], { PGLOBALXACT_STATE_DIR: '/state', [variable]: text }).config[key]).to.deep.equal(value)
            const other = String(DEFAULTS[key] || 'other')
            if (key !== 'faultPoint') {
                expect(
                    readConfig(['run', `--${flag}`, text], { PGLOBALXACT_STATE_DIR: '/state', [variable]: other }).config[key]
                ).to.deep.equal(value)
            }
        })
    }

    it('takes DATABASE_URL when it has no database of its own', () => {
        expect(run([], { DATABASE_URL: 'postgresql://common' }).databaseUrl).to.equal('postgresql://common')
        expect(run([], { DATABASE_URL: 'postgresql://common', PGLOBALXACT_DATABASE_URL: 'postgresql://own' }).databaseUrl).to.equal(
            'postgresql://own'
        )
        expect(run(['--database-url', 'postgresql://flag'], { PGLOBALXACT_DATABASE_URL: 'postgresql://own' }).databaseUrl).to.equal(
            'postgresql://flag'
        )
    })

    for (const [flag, least, most] of [
        ['scan-interval', 50, 3_600_000],
        ['connections-per-node', 1, 64],
        ['node-timeout', 100, 3_600_000],
        ['retry-cap', 100, 3_600_000],
        ['segment-bytes', 4096, 1_073_741_824]
    ] as const) {
        it(`takes --${flag} from ${least} to ${most} and nothing else, and says so`, () => {
            for (const good of [least, most]) expect(() => run([`--${flag}`, String(good)])).to.not.throw()
            for (const bad of [least - 1, most + 1, '', ' ', '1e3', '1000.0', '0x400', 'ten', '1000 ', '-5000', 'NaN']) {
                const { message, hint } = refusal([...RUN, `--${flag}=${bad}`])
                expect(message).to.equal(`--${flag} is ${JSON.stringify(String(bad))}`)
                expect(hint).to.equal(`Give a whole number from ${least} to ${most}.`)
            }
        })
    }

    it('takes an address and a port for --metrics, or off, and knows which was asked for', () => {
        for (const [text, host, port] of [
            ['127.0.0.1:0', '127.0.0.1', 0],
            ['localhost:65535', 'localhost', 65_535],
            ['[fe80::1%eth0]:19187', 'fe80::1%eth0', 19_187],
            // The default, but asked for: then it must be had.
            ['127.0.0.1:19187', '127.0.0.1', 19_187]
        ] as const)
            expect(run(['--metrics', text]).metrics, text).to.deep.equal({ host, port, given: true })
        expect(run([], { PGLOBALXACT_METRICS: 'off' }).metrics).to.equal(undefined)
        for (const bad of [
            '',
            'on',
            '9187',
            ':9187',
            '127.0.0.1',
            '127.0.0.1:',
            'h:65536',
            'h:-1',
            'h:1.5',
            '::1:9187',
            'http://h:1',
            'h:1/x',
            'h :1'
        ]) {
            const { message, hint } = refusal([...RUN, `--metrics=${bad}`])
            expect(message).to.equal(`--metrics is ${JSON.stringify(bad)}`)
            expect(hint).to.match(/^Give an address and a port, such as 127\.0\.0\.1:19187 or .* off serves none\.$/)
        }
    })

    it('names the variable when the variable is at fault', () => {
        expect(refusal(RUN, { PGLOBALXACT_SCAN_INTERVAL: 'soon' }).message).to.equal('PGLOBALXACT_SCAN_INTERVAL is "soon"')
    })

    it('lists the words an option takes', () => {
        const { message, hint } = refusal([...RUN, '--lost-sets', 'guess'])
        expect([message, hint]).to.deep.equal(['--lost-sets is "guess"', 'Give one of: report, rollback.'])
        expect(refusal([...RUN, '--fault-point', 'nowhere']).hint).to.equal(`Give one of: ${FAULT_POINTS.join(', ')}.`)
    })

    it('asks for the state directory, by flag and by variable, where it is needed only', () => {
        for (const { message, hint } of [
            refusal(['run']),
            refusal(['run', '--state-dir', '']),
            refusal(['run'], { PGLOBALXACT_STATE_DIR: '' })
        ]) {
            expect(message).to.equal('--state-dir is missing')
            expect(hint).to.match(/^Give --state-dir DIR or set PGLOBALXACT_STATE_DIR: /)
        }
        for (const command of ['install', 'uninstall', 'help', 'version']) expect(readConfig([command], {}).command).to.equal(command)
    })

    it('knows its commands and no others', () => {
        expect(readConfig([], {}).command).to.equal('help')
        for (const args of [['start'], ['run', 'now'], ['install', 'x', 'y']]) {
            const { message, hint } = refusal(args)
            expect([message, hint]).to.deep.equal([`unknown command: ${args.join(' ')}`, 'Run: npx pglobalxact --help'])
        }
    })

    for (const args of [
        ['run', '--what'],
        ['run', '--scan-interval'],
        ['run', '-x'],
        ['run', '--help=yes'],
        ['--scan_interval', '5']
    ]) {
        it(`refuses ${args.join(' ')} and points to --help`, () => {
            const { message, hint } = refusal(args)
            expect(message).to.contain(args.find((arg) => arg.startsWith('-'))!.split('=')[0])
            expect(hint).to.equal('Run: npx pglobalxact --help')
        })
    }

    it('gives help and version whatever else is wrong', () => {
        for (const flag of ['--help', '-h'])
            expect(readConfig(['run', 'x', flag], { PGLOBALXACT_SCAN_INTERVAL: 'bad' }).command).to.equal('help')
        for (const flag of ['--version', '-V']) expect(readConfig([flag, 'x'], {}).command).to.equal('version')
    })

    it('has every option in its help, with variable, default and at most 80 columns', () => {
        const text = usage()
        for (const [key, flag, variable] of OPTIONS) {
            const start = text.indexOf(`  --${flag} `)
            expect(start, flag).to.be.greaterThan(0)
            const part = text.slice(start).split(/\n\n|\n {2}--/)[0]!
            expect(part).to.contain(variable)
            const fallback = key === 'metrics' ? '127.0.0.1:19187' : DEFAULTS[key]
            if (key !== 'stateDir' && fallback !== '') expect(part.replace(/\s+/g, ' ')).to.contain(`(default ${fallback})`)
        }
        for (const line of text.split('\n')) expect(line.length, line).to.be.at.most(80)
        expect(text).to.match(/pglobalxact run --state-dir DIR[^]*pglobalxact install[^]*pglobalxact uninstall[^]*Exit status/)
    })
})
