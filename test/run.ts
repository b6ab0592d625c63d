/**
 * Runs test files in several mocha processes at once, as they wait for servers most of the time:
 *
 *   run.ts [--lanes 2] [--versions '14 18'] FILE-OR-DIRECTORY… [-- ARGUMENT-OF-MOCHA…]
 *
 * What a process prints is shown when it ends, so that the tests of a file stand together; the last lines add all up.
 */
import { spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

interface Part {
    readonly files: readonly string[]
    /** Of PostgreSQL; undefined for what the environment asks for. */
    readonly version: string | undefined
}

interface Sum {
    passing: number
    pending: number
    failing: number
}

interface Result {
    readonly sum: Sum
    /** What mocha says of the tests that failed. */
    readonly failures: string
    /** A line for every test that did not pass at the first try. */
    readonly again: readonly string[]
}

const PARTS = 8 // a set of files is cut into: few enough to share servers among files, enough to keep all lanes busy to the end
const LINGER = 60_000 // ms that a process may live on behind its summary, when all is done and cleaned up: now and then one spins for ever at its end
const root = join(__dirname, '..')

function testsIn(path: string): string[] {
    if (!statSync(join(root, path)).isDirectory()) return [path]
    const found = readdirSync(join(root, path), { recursive: true, encoding: 'utf8' })
    return found.filter((file) => file.endsWith('.test.ts')).map((file) => join(path, file))
}

/** Files of about the same length together in each part; in the order of their names, as a reader expects them. */
function cut(files: readonly string[], parts: number): string[][] {
    const sizes = files.map((file) => statSync(join(root, file)).size)
    const whole = sizes.reduce((sum, size) => sum + size, 0)
    const cutInto: string[][] = Array.from({ length: parts }, () => [])
    let before = 0
    files.forEach((file, index) => {
        cutInto[Math.min(Math.floor((before / whole) * parts), parts - 1)]!.push(file)
        before += sizes[index]!
    })
    return cutInto.filter((part) => part.length > 0)
}

/** What mocha says of the tests that failed, which is all that stands behind its summary. */
function failuresIn(output: string): string {
    return (
        [...output.matchAll(/^ +\d+ failing\n([^]*)/gm)]
            .at(-1)?.[1]
            ?.replace(/^ {2}tried again: .*\n?/gm, '')
            .trimEnd() ?? ''
    )
}

/** The number before a word of mocha's summary, which is the last place where it stands. */
function counted(output: string, word: keyof Sum): number {
    return Number([...output.matchAll(new RegExp(`^ +(\\d+) ${word}\\b`, 'gm'))].at(-1)?.[1] ?? 0)
}

function mocha({ files, version }: Part, args: readonly string[], alone: boolean): Promise<Result> {
    const env = { ...process.env, ...(version === undefined ? {} : { PGLOBALXACT_TEST_PG_VERSION: version }) }
    const child = spawn(process.execPath, [join(root, 'node_modules/mocha/bin/mocha.js'), '--exit', ...args, ...files], {
        cwd: root,
        env,
        stdio: ['ignore', 'pipe', 'pipe']
    })
    const name = version === undefined ? '' : `PostgreSQL ${version}: `
    let output = ''
    let ending: NodeJS.Timeout | undefined
    let ended = false
    const keep = (text: string): void => {
        output += text
        if (alone) process.stdout.write(text)
        if (ending !== undefined || !/^ {2}\d+ passing \(/m.test(output)) return
        ending = setTimeout(() => (ended = child.kill('SIGKILL')), LINGER)
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    return new Promise((resolve) => {
        child.on('close', (code, signal) => {
            clearTimeout(ending)
            if (!alone) process.stdout.write(`\n${name}${files.join(' ')}\n${output}`)
            const sum = { passing: counted(output, 'passing'), pending: counted(output, 'pending'), failing: counted(output, 'failing') }
            // It can also fail without a failing test: a file that cannot be read, a crash of the runner, something left running.
            if (ended) console.log(`\n${name}mocha was done and did not end: killed`)
            else if (code !== 0 && sum.failing === 0) {
                sum.failing = 1
                console.log(`\n${name}mocha ended with ${signal ?? `exit code ${code}`}`)
            }
            const failures = failuresIn(output)
            const again = [...output.matchAll(/^ {2}tried again: .*$/gm)].map(([line]) => `${line}${name && ` (${name.slice(0, -2)})`}`)
            resolve({ sum, failures: failures === '' ? '' : `${name}${failures}`, again })
        })
    })
}

async function main(): Promise<void> {
    const end = process.argv.indexOf('--', 2)
    const [args, mochaArgs] = end < 0 ? [process.argv.slice(2), []] : [process.argv.slice(2, end), process.argv.slice(end + 1)]
    const { values, positionals } = parseArgs({
        args,
        allowPositionals: true,
        options: { lanes: { type: 'string', default: '2' }, versions: { type: 'string' } }
    })
    const files = positionals.flatMap(testsIn).sort()
    const versions = values.versions?.trim().split(/[ ,]+/) ?? [undefined]
    const cuts = cut(files, Math.min(PARTS, files.length))
    const parts = versions.flatMap((version) => cuts.map((files): Part => ({ files, version })))
    const total: Sum = { passing: 0, pending: 0, failing: 0 }
    const failures: string[] = []
    const again: string[] = []
    const lane = async (): Promise<void> => {
        for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
            const { sum, ...told } = await mocha(part, mochaArgs, cuts.length * versions.length === 1)
            if (told.failures !== '') failures.push(told.failures)
            again.push(...told.again)
            for (const word of ['passing', 'pending', 'failing'] as const) total[word] += sum[word]
        }
    }
    const started = Date.now()
    await Promise.all(Array.from({ length: Number(values.lanes) }, lane))
    console.log(`\nin all, ${Math.round((Date.now() - started) / 1000)} s:\n\n  ${total.passing} passing\n  ${total.pending} pending`)
    if (again.length > 0) console.log(['', ...again].join('\n'))
    if (total.failing > 0) console.log(`  ${total.failing} failing\n\n${failures.join('\n')}`)
    process.exitCode = total.failing === 0 ? 0 : 1
}

void main()
