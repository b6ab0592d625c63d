/** The processes of one PostgreSQL server, and what can happen to them. */
import { execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serverEnv } from './datadir';
import { freeze, signal, untilGone } from './proctree';
import { within } from './wait';
import { register, serverAccount } from './workdir';

export type StopMode = 'fast' | 'immediate';

interface Running {
  readonly pid: number;
  readonly exit: Promise<true>;
}

/** Generous: with fsync on a busy disk, a shutdown checkpoint can take long. */
export const DEADLINE_MS = 60_000;

export class Postmaster {
  readonly dataDir: string;
  readonly logFile: string;
  #running: Running | undefined;
  #frozen: readonly number[] = [];

  constructor(readonly name: string, readonly bin: string, readonly home: string) {
    this.dataDir = join(home, 'data');
    this.logFile = join(home, 'log');
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** The server's log so far. */
  log(): string {
    try {
      return readFileSync(this.logFile, 'utf8');
    } catch {
      return '';
    }
  }

  /** Starts the process; the promise resolves when it exits. Says nothing about readiness. */
  spawn(): Promise<true> {
    if (this.#running) throw new Error(`${this.name} runs already`);
    const log = openSync(this.logFile, 'a', 0o644);
    // A direct child, so that its end is noticed at once; detached, so that Ctrl-C does not reach it.
    const child = spawn(join(this.bin, 'postgres'), ['-D', this.dataDir], {
      ...serverAccount(), cwd: this.home, env: serverEnv(), detached: true, stdio: ['ignore', log, log],
    });
    closeSync(log);
    const exit = new Promise<true>((resolve) => {
      const ended = (): void => {
        this.#running = undefined;
        resolve(true);
      };
      child.once('exit', ended);
      child.once('error', ended);
    });
    if (child.pid !== undefined) this.#running = { pid: child.pid, exit };
    register(child, `PostgreSQL ${this.name}`, 'QUIT');
    return exit;
  }

  async stop(mode: StopMode): Promise<void> {
    if (!this.#running) return;
    this.resume();
    const { pid, exit } = this.#running;
    signal(pid, mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    if (!(await within(exit, DEADLINE_MS))) throw new Error(`${this.name} did not stop:\n${this.log().slice(-4000)}`);
  }

  async kill(): Promise<void> {
    if (!this.#running) return;
    const { pid, exit } = this.#running;
    const all = freeze(pid);
    this.#frozen = [];
    for (const one of all) signal(one, 'SIGKILL');
    await exit;
    // A survivor would still be attached to the shared memory, and the next start would refuse.
    await untilGone(all);
  }

  pause(): void {
    if (!this.#running) throw new Error(`${this.name} is not running`);
    this.#frozen = freeze(this.#running.pid);
  }

  resume(): void {
    for (const pid of this.#frozen) signal(pid, 'SIGCONT');
    this.#frozen = [];
  }

  /** A killed server leaves a small System V segment, which only its next start would remove. */
  freeSegment(): void {
    try {
      const id = readFileSync(join(this.dataDir, 'postmaster.pid'), 'utf8').split('\n')[6]?.trim().split(/\s+/)[1];
      if (id) execFileSync('ipcrm', ['-m', id], { stdio: 'ignore' });
    } catch {
      // Stopped cleanly, or no ipcrm here: a few bytes until the next boot.
    }
  }
}
