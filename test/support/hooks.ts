/** Root hooks: after the last test nothing of what the tests started is left. */
import { destroyAllClusters } from './cluster';
import { signal } from './proctree';
import { closeAllProxies } from './proxy';
import { livingChildren, removeWorkDir } from './workdir';

export const mochaHooks = {
  async afterAll(this: Mocha.Context): Promise<void> {
    this.timeout(120_000);
    await closeAllProxies();
    await destroyAllClusters();
    // Servers are ended for the tests; a sidecar or a psql that a test forgot is its bug.
    const left = [...livingChildren()];
    for (const [pid] of left) signal(pid, 'SIGKILL');
    if (left.length > 0) {
      throw new Error(`left running by the tests: ${left.map(([pid, what]) => `${what} (pid ${pid})`).join(', ')}`);
    }
    removeWorkDir();
  },
};
