#!/usr/bin/env node
/** The command line, and the only file that touches process.*. */
import { hostname } from 'node:os'
import { readConfig, usage, type Config } from './config'
import { createFaultPoints } from './fault'
import { install, uninstall } from './install'
import { createLog } from './log'
import { Refusal } from './refusal'
import { Sidecar } from './sidecar'
import { messageOf, property } from './sqlstate'
import { version } from './version'

const BAD_CONFIGURATION = 2
const LONGEST_STOP = 4500 // ms: systemd and people expect an answer within five seconds

const log = createLog((line) => process.stderr.write(line))

async function main(): Promise<void> {
    const { command, config } = readConfig(process.argv.slice(2), process.env)
    process.title = `pglobalxact ${command}`
    switch (command) {
        case 'help':
            return void process.stdout.write(usage())
        case 'version':
            return void process.stdout.write(`${version()}\n`)
        case 'install':
            return install(config, (line) => process.stdout.write(`${line}\n`))
        case 'uninstall':
            return uninstall(config, (line) => process.stdout.write(`${line}\n`))
        case 'run':
            return run(config)
    }
}

async function run(config: Config): Promise<void> {
    const fault = createFaultPoints(config.faultPoint, async (point) => {
        log.warning('stopped at fault point', { point })
        process.kill(process.pid, 'SIGSTOP')
        await new Promise((done) => setTimeout(done, 10))
    })
    const who = { host: hostname(), pid: process.pid, version: version(), startedAt: new Date() }
    const sidecar = await Sidecar.prepare(config, who, process.getuid?.() ?? -1, log, fault)
    const stop = (signal: NodeJS.Signals): void => {
        log.info('stopping', { signal })
        sidecar.stop()
        setTimeout(() => process.exit(0), LONGEST_STOP).unref()
    }
    process.once('SIGTERM', stop)
    process.once('SIGINT', stop)
    await sidecar.run()
    log.info('stopped')
}

function fail(error: unknown): void {
    if (error instanceof Refusal) {
        process.stderr.write(`pglobalxact: ${error.message}\n  hint: ${error.hint}\n`)
        process.exit(BAD_CONFIGURATION)
    }
    const hint = property(error, 'hint')
    process.stderr.write(`pglobalxact: ${messageOf(error)}\n${hint === undefined ? '' : `  hint: ${hint}\n`}`)
    process.exit(1)
}

main().then(() => process.exit(0), fail)
