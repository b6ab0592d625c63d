/**
 * make bench: every way to move money between databases that somebody would use instead, measured together. README.md says what
 * can be chosen; the report is in test/reports.
 */
import { tearDown } from '../chaos/harness'
import { fromEnvironment } from './options'
import { summary } from './breakdown-text'
import { REPORTS, Report } from './report'
import { ratio, valuesOf } from './result'
import { run } from './run'

const say = (text: string): void => console.log(text)

async function main(): Promise<number> {
    const options = fromEnvironment(REPORTS)
    const report = new Report(options)
    await run(options, {
        began: ({ sessions, branches, fsyncMs }) =>
            say(`\n${sessions} sessions, ${branches} branches${fsyncMs > 0 ? `, ${fsyncMs} ms added to each fsync` : ''}`),
        cell: ({ variant, rate, commit, drainMs }) =>
            say(
                `  ${variant.padEnd(20)} ${rate.toFixed(0).padStart(6)}/s  commit p50 ${commit.p50.toFixed(2)} ms  settled ${drainMs.toFixed(0)} ms later`
            ),
        point: (measured) => {
            report.add(measured)
            for (const variant of measured.variants) {
                const { median, least, most } = valuesOf(measured, variant, ({ rate }) => rate)
                const of = ratio(measured, variant)
                say(
                    `= ${variant.padEnd(20)} ${median.toFixed(0).padStart(6)}/s (${least.toFixed(0)} to ${most.toFixed(0)})` +
                        (of ? `  ${of.median.toFixed(2)} of the floor (${of.least.toFixed(2)} to ${of.most.toFixed(2)})` : '')
                )
            }
        },
        breakdown: (found) => {
            report.addBreakdown(found)
            say(summary(found))
        }
    })
    say(`\nreport: ${report.path}`)
    return 0
}

void tearDown(main)
