/**
 * Mocha's own report, which also tells of every test that did not pass at the first try (with --retries): what went wrong then, in its
 * place, and a line at the end that test/run.ts and .ci/run repeat. Servers, clocks and disks of a shared machine are not always the same; what
 * passes only now and then must be seen, and must not stop everybody.
 */
import { reporters, Runner, type MochaOptions, type Test } from 'mocha'

class Reporter extends reporters.Spec {
    constructor(runner: Runner, options: MochaOptions) {
        super(runner, options)
        const again: string[] = []
        runner.on(Runner.constants.EVENT_TEST_RETRY, (test: Test, error: Error) => {
            again.push(test.fullTitle())
            console.log(`\n    did not pass, is tried again: ${test.fullTitle()}\n${error.stack ?? String(error)}\n`)
        })
        runner.on(Runner.constants.EVENT_RUN_END, () => {
            for (const title of again) console.log(`  tried again: ${title}`)
        })
    }
}

export = Reporter
