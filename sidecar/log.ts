/** One line per event: time, level, event, then key=value. Fields are chosen one by one, so no secret can slip in with an object. */

export type Level = 'info' | 'warning' | 'error'
export type Fields = Readonly<Record<string, string | number | boolean | undefined>>

export interface Log {
    info(event: string, fields?: Fields): void
    warning(event: string, fields?: Fields): void
    error(event: string, fields?: Fields): void
}

export function createLog(write: (line: string) => void): Log {
    const at =
        (level: Level) =>
        (event: string, fields: Fields = {}): void =>
            write(format(level, event, fields))
    return { info: at('info'), warning: at('warning'), error: at('error') }
}

function format(level: Level, event: string, fields: Fields): string {
    const pairs = Object.entries(fields)
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => ` ${key}=${quote(String(value))}`)
    return `${new Date().toISOString()} ${level} ${oneLine(event)}${pairs.join('')}\n`
}

// What a server or a hostile role put into a message must not look like a line of its own, nor steer a terminal.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g

const oneLine = (event: string): string => event.replace(CONTROL, ' ')

const quote = (value: string): string =>
    /^[!-~]+$/.test(value) && !/["=]/.test(value)
        ? value
        : JSON.stringify(value).replace(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
