/** The shell on the coordinator's host. There is no systemd among the tests: what a unit does with the sidecar is done here. */
import { spawnSync } from 'node:child_process'
import type { Bank } from '../demo/bank'
import { cleanEnv } from '../support/workdir'

const STATE_DIR = '/var/lib/pglobalxact'

export async function shell(bank: Bank, line: string): Promise<string> {
    const [, service] = /^systemctl ([\w-]+) pglobalxact$/.exec(line) ?? []
    if (service !== undefined) return systemctl(bank, service)
    const [, count] = /^journalctl -u pglobalxact -o cat -n (\d+)$/.exec(line) ?? []
    if (count !== undefined) return (bank.sidecar?.logs ?? []).slice(-Number(count)).join('\n')
    const { stdout, stderr } = spawnSync('sh', ['-c', line.replaceAll(STATE_DIR, bank.stateDir)], {
        env: { ...cleanEnv(), LC_ALL: 'C' },
        encoding: 'utf8'
    })
    return stdout + stderr
}

async function systemctl(bank: Bank, command: string): Promise<string> {
    switch (command) {
        case 'start':
            // Also when it exits at once: systemctl has nothing to say of that.
            await bank.startSidecar([], / acting |is not allowed to act|^ {2}hint: /)
            return ''
        case 'stop':
            await bank.sidecar?.stop()
            return ''
        case 'is-active':
            if (bank.sidecar?.running) return 'active'
            return (await bank.sidecar?.exit) === 0 ? 'inactive' : 'failed'
        default:
            throw new Error(`nobody knows how to do this: systemctl ${command}`)
    }
}
