import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The package's version: what status() shows. */
export function version(): string {
    const found: unknown = JSON.parse(readFileSync(join(__dirname, '..', 'package.json'), 'utf8'))
    return typeof found === 'object' && found !== null && 'version' in found ? String(found.version) : 'unknown'
}
