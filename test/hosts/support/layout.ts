/** What stands where in the image of a host. */
export const POSTGRES = '/opt/postgresql'
export const PRODUCT = '/opt/pglobalxact'
export const NODE = '/usr/local/bin/node'

/** Of PostgreSQL and of the sidecar. */
export const ACCOUNT = 70
export const HOME = '/var/lib/postgresql'
/** The sidecar's state directory. */
export const STATE = '/var/lib/pglobalxact'
export const LOGS = '/var/log/pglobalxact'

/** On everything that we make in a Docker daemon; its value is the run's name. */
export const LABEL = 'pglobalxact.hosts'
