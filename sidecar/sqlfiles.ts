import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The SQL lives in sql/, beside the code both in a checkout and in the package. */
export const SQL_DIRECTORY = join(__dirname, '..', 'sql')

/** Text of a statement that is sent to nodes, where no function of ours exists. */
export const nodeSql = (name: string): string => readFileSync(join(SQL_DIRECTORY, 'node', `${name}.sql`), 'utf8')
