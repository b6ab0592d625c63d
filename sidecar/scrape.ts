import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Endpoint } from './config'
import type { Log } from './log'
import type { Metrics } from './metrics'
import { Refusal } from './refusal'
import { messageOf } from './sqlstate'

const PATIENCE = 5000 // ms for a request to arrive whole, and for an idle connection
const MOST_CONNECTIONS = 32 // a few Prometheus servers and a health check; anyone else must not use up our file descriptors

/**
 * Serves GET /metrics and GET /healthz, and nothing else. An endpoint that was asked for and cannot be had is refused; the
 * default one is done without, as the sidecar matters more than its numbers.
 */
export async function serveMetrics(at: Endpoint, metrics: Metrics, log: Log): Promise<Server | undefined> {
    const answer = (request: IncomingMessage, response: ServerResponse): void => void respond(request, response, metrics)
    const server = createServer({ requestTimeout: PATIENCE, keepAliveTimeout: PATIENCE, connectionsCheckingInterval: PATIENCE / 2 }, answer)
    // Without this, Node.js would ask for the body of a request that only announces one.
    server.on('checkContinue', answer)
    server.maxConnections = MOST_CONNECTIONS
    try {
        await new Promise<void>((done, fail) => server.once('error', fail).listen({ host: at.host, port: at.port }, done))
    } catch (error) {
        const where = `${at.host}:${at.port}`
        const hint = 'Give another address with --metrics HOST:PORT (port 0 takes a free one), or --metrics off.'
        if (at.given) throw new Refusal(`cannot serve metrics at ${where}: ${messageOf(error)}`, hint)
        log.warning('no metrics are served: the default address is taken', { address: where, error: messageOf(error), hint })
        return undefined
    }
    server.on('error', (error) => log.warning('metrics', { error: messageOf(error) }))
    const { address, port, family } = server.address() as AddressInfo
    log.info('metrics served', { url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/metrics` })
    return server
}

async function respond(request: IncomingMessage, response: ServerResponse, metrics: Metrics): Promise<void> {
    const path = request.method === 'GET' ? request.url?.split('?')[0] : undefined
    if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
        // A body is not read, so nothing that follows on this connection can be told from it.
        response.setHeader('Connection', 'close')
        response.once('finish', () => request.socket.destroySoon())
    }
    try {
        if (path === '/metrics') send(response, 200, metrics.contentType, await metrics.text())
        else if (path === '/healthz') send(response, 200, 'text/plain; charset=utf-8', `${metrics.word()}\n`)
        else send(response, 404, 'text/plain; charset=utf-8', 'GET /metrics or /healthz\n')
    } catch (error) {
        send(response, 500, 'text/plain; charset=utf-8', `${messageOf(error)}\n`)
    }
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
    response.writeHead(status, { 'Content-Type': type, 'Cache-Control': 'no-store' })
    response.end(text)
}
