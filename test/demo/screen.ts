/** The demo's narration: headings, sentences, and sessions with their prompts. */
import type { Terminal } from './terminal'

const WIDTH = 78
const coloured = process.stdout.isTTY && !process.env['NO_COLOR']
const paint =
    (code: number) =>
    (text: string): string =>
        coloured ? `\x1b[${code}m${text}\x1b[0m` : text
const bold = paint(1)
const cyan = paint(36)
const red = paint(31)

export const print = (text = ''): void => void process.stdout.write(`${text}\n`)

export function heading(text: string): void {
    print()
    print(bold(`━━ ${text} ${'━'.repeat(Math.max(0, WIDTH - text.length - 4))}`))
    print()
}

/** A sentence of the narrator's, wrapped. */
export function say(text: string): void {
    for (const line of text
        .replace(/\s+/g, ' ')
        .trim()
        .match(/.{1,76}(?:\s|$)/g) ?? [])
        print(cyan(`# ${line.trimEnd()}`))
    print()
}

/** Something done from outside SQL: a server killed, a process started. */
export const act = (text: string): void => print(`${red('!')} ${bold(text)}\n`)

/** Output of something that is not psql, indented. */
export const quote = (lines: readonly string[]): void => print(lines.map((line) => `    ${line}\n`).join(''))

/** One person's psql, with the prompt that psql would show. */
export class Session {
    #state = '='

    constructor(
        readonly prompt: string,
        private readonly terminal: Terminal
    ) {}

    /** Types it, prints it and its answer, and returns the answer. */
    async type(sql: string): Promise<string> {
        this.#show(sql)
        const answer = await this.terminal.type(sql)
        this.#answer(answer)
        return answer
    }

    /** The same for a statement that is made to wait: shown at once; call the result to show its answer. */
    begin(sql: string): () => Promise<string> {
        this.#show(sql)
        print()
        const waiting = this.terminal.type(sql)
        return async () => {
            const answer = await waiting
            print(`${this.prompt}=*> ${sql}   -- typed above, answers now`)
            this.#answer(answer)
            return answer
        }
    }

    close(): Promise<void> {
        return this.terminal.close()
    }

    #show(sql: string): void {
        print(`${this.prompt}${this.#state}> ${bold(sql)}`)
    }

    #answer(text: string): void {
        print(text.replace(/\n+$/, '').replace(/^(.+)(?:\n\1)+$/gm, '$1'))
        if (/^BEGIN$/m.test(text)) this.#state = '=*'
        else if (/^(COMMIT|ROLLBACK)$/m.test(text)) this.#state = '='
        else if (/^ERROR:/m.test(text) && this.#state === '=*') this.#state = '=!'
        else if (/connection/m.test(text)) this.#state = '='
        if (this.#state === '=' || /\(\d+ rows?\)\s*$/.test(text)) print()
    }
}
