/** The servers behind a document: its sessions, and what happens to them between two of its transcripts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Client } from 'pg'
import { unmountAll } from '../crash/support/mounts'
import { Bank, NODES, PLACES, newStateDir, type Place } from '../demo/bank'
import type { Cluster } from '../support/cluster'
import type { Sidecar } from '../support/process'
import { PsqlSession } from '../support/psql'
import type { Archived } from '../sidecar/restore/recovery'
import { workDir } from '../support/workdir'
import { ACCIDENTS } from './accidents'
import { shell } from './console'

/** What a document calls the servers; as long as the real addresses, so that columns keep their width. */
const ADDRESSES: Readonly<Record<Place, string>> = { zurich: '10.20.0.11:5432', london: '10.20.0.12:5432', tokyo: '10.20.0.13:5432' }

const BACKUP = '/backup/'

/** What the README leaves to the reader's imagination: "the same in Tokyo", and what the bank is. */
const ROLES = `create role app login password 'secret'; create role pglobalxact login password 'secret'; grant app to pglobalxact`
const ACCOUNTS: Readonly<Record<Place, string>> = { zurich: "'alice', 1000", london: "'bob', 1000", tokyo: "'carol', 1000" }
const accounts = (place: Place): string => `
  create table account (name text primary key, balance bigint not null check (balance >= 0));
  insert into account values (${ACCOUNTS[place]});
  grant select, insert, update, delete on account to ${place === 'zurich' ? 'dba' : 'app'}`
const tokyo = (host: string, port: number): string => `
  create server tokyo foreign data wrapper dblink_fdw options (host '${host}', port '${port}', dbname 'bank');
  grant usage on foreign server tokyo to dba, pglobalxact;
  create user mapping for dba server tokyo options (user 'app', password 'secret');
  create user mapping for pglobalxact server tokyo options (user 'pglobalxact', password 'secret')`

export class Stage {
    #bank: Bank | undefined
    readonly #sessions = new Map<string, PsqlSession>()
    /** Programs at work: their connections. */
    readonly #clients: Client[] = []
    /** Servers beside those of the bank: a standby, a copy, one that was lost. */
    readonly others: Cluster[] = []
    /** Those that can be restored to a moment. */
    readonly archived = new Map<Place, Archived>()
    /** What the document calls /backup. */
    #backup: string | undefined
    /** Sidecars beside that of the bank. */
    readonly sidecars: Sidecar[] = []

    get bank(): Bank {
        if (!this.#bank) throw new Error('the document types before it has said <!-- stage: bank --> or <!-- stage: servers -->')
        return this.#bank
    }

    /** Carries out what stands behind "stage:". */
    async happen(what: string): Promise<void> {
        const [verb, object = ''] = what.split(/ (.*)/)
        const place = PLACES.find((name) => name === object)
        if (what === 'bank') this.#bank = await Bank.open(() => 'secret')
        else if (what === 'servers') this.#bank = await Bank.start(() => 'secret')
        else if (what === 'accounts') await this.#accounts()
        else if (what === 'tokyo') await this.#tokyo()
        else if (ACCIDENTS[what]) await ACCIDENTS[what](this)
        else if (what === 'start sidecar') await this.bank.startSidecar()
        else if (what === 'start an unknown sidecar') await this.bank.startSidecar([], / is not allowed to act /)
        else if (what === 'stop sidecar') await this.bank.sidecar?.stop()
        else if (what === 'kill sidecar') await this.bank.sidecar?.kill()
        else if (what === 'pause sidecar') this.bank.sidecar?.pause()
        else if (what === 'resume sidecar') this.bank.sidecar?.resume()
        else if (what === 'lose state directory') this.bank.stateDir = newStateDir()
        else if (place && verb === 'start') await this.bank.servers[place].start()
        else if (place && verb === 'stop') await this.#end(place, () => this.bank.servers[place].stop('fast'))
        else if (place && verb === 'kill') await this.kill(place)
        else throw new Error(`nobody knows how to do this: ${what}`)
    }

    /** A program's connection to a place, which goes with the stage. */
    async connect(place: Place, user: 'app' | 'postgres', application_name: string): Promise<Client> {
        const { servers } = this.bank
        const login = user === 'app' ? this.bank.login('app') : { database: 'bank' }
        const client = await servers[place].connect({ ...login, application_name })
        this.#clients.push(client)
        return client
    }

    /** The server crashes. */
    kill(place: Place): Promise<void> {
        return this.#end(place, () => this.bank.servers[place].kill())
    }

    /** Who was connected to the server connects anew. */
    async #end(place: Place, how: () => Promise<void>): Promise<void> {
        await how()
        await this.hangUp([place])
    }

    /** Sessions there are over; the next one is new. */
    async hangUp(places: readonly Place[]): Promise<void> {
        for (const name of places.flatMap((place) => (place === 'zurich' ? ['dba', 'app', 'postgres'] : [place]))) {
            await this.#sessions.get(name)?.close()
            this.#sessions.delete(name)
        }
    }

    /** Types into a session, opening it at its first use; answers in the document's terms. */
    async type(name: string, sql: string): Promise<string[]> {
        if (name === 'console') return this.#lines(await shell(this.bank, sql))
        const session = this.#sessions.get(name) ?? (await this.#open(name))
        const answer = await session.send(this.#toReal(sql))
        return this.#lines(answer)
    }

    #lines(answer: string): string[] {
        return this.#toDocument(answer).replace(/\s+$/, '').split('\n')
    }

    async close(): Promise<void> {
        for (const session of this.#sessions.values()) await session.close()
        for (const sidecar of [...this.sidecars, this.#bank?.sidecar]) await sidecar?.stop()
        const servers = new Set([...Object.values(this.#bank?.servers ?? {}), ...this.others])
        await Promise.all([...servers].map((server) => server.destroy()))
        await Promise.all(this.#clients.map((client) => client.end().catch(() => undefined)))
        await Promise.all([...this.archived.values()].map((server) => server.forget()))
        if (this.#backup !== undefined) rmSync(this.#backup, { recursive: true, force: true })
        unmountAll()
    }

    async #open(name: string): Promise<PsqlSession> {
        const { servers } = this.bank
        const node = NODES.find((one) => one === name)
        const login = name === 'dba' || name === 'app' ? this.bank.login(name) : { database: 'bank' }
        if (!node && !['dba', 'app', 'postgres', 'copy'].includes(name)) throw new Error(`no such session: ${name}`)
        const server = name === 'copy' ? this.others.find((other) => other.name === 'copy')! : servers[node ?? 'zurich']
        const session = await PsqlSession.open(server, login)
        await session.send('\\set QUIET off\n\\set SHOW_CONTEXT never')
        this.#sessions.set(name, session)
        return session
    }

    async #accounts(): Promise<void> {
        await this.bank.query('tokyo', ROLES)
        for (const place of PLACES) await this.bank.query(place, accounts(place))
    }

    async #tokyo(): Promise<void> {
        const { host, port } = this.bank.servers.tokyo
        await this.bank.query('zurich', tokyo(host, port))
        await this.bank.query('zurich', "select * from pglobalxact.add_node('tokyo')")
    }

    #toReal(text: string): string {
        return PLACES.reduce((all, place) => {
            const [host = '', port = ''] = ADDRESSES[place].split(':')
            const { host: realHost, port: realPort } = this.bank.servers[place]
            return all.replaceAll(`host '${host}', port '${port}'`, `host '${realHost}', port '${realPort}'`)
        }, this.#onDisk(text))
    }

    #onDisk(text: string): string {
        if (!text.includes(BACKUP)) return text
        this.#backup ??= mkdtempSync(join(workDir(), 'backup-'))
        return text.replaceAll(BACKUP, `${this.#backup}/`)
    }

    #toDocument(text: string): string {
        const { servers, stateDir } = this.bank
        const named = PLACES.reduce(
            (all, place) =>
                all
                    .replaceAll(`${servers[place].host}:${servers[place].port}`, ADDRESSES[place])
                    .replaceAll(
                        `server at "${servers[place].host}", port ${servers[place].port}`,
                        `server at "${ADDRESSES[place].replace(':', '", port ')}`
                    ),
            text
        )
        return named
            .replaceAll(stateDir, '/var/lib/pglobalxact')
            .replace(new RegExp(`(\\bhost(?: +\\| | ))${hostname()}\\b`, 'g'), '$1zurich')
    }
}
