import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { SecureContextOptions, TlsOptions } from 'node:tls'
import type { ServeAddress, ServerTls, ServeOptions, WebServer } from '../../contracts/web-driver.ts'
import { MillraceError, toError } from '../errors/millrace-error.ts'
import { Connections } from './connections.ts'
import { Turns } from './turns.ts'

/** The longest interval between checks for requests that are too slow. */
const LONGEST_CHECK_MS = 5_000
/** The limit for a whole request with its body. */
const REQUEST_MS = 300_000
/** Node silently drops headers beyond its own limit, so requests with that many are refused before. */
const MOST_HEADERS = 200
/**
 * A dot segment of a path. URLs are resolved before pages are looked up, and a proxy that guards paths may not resolve
 * them.
 */
const DOT_SEGMENT = /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i

const REFUSALS = new Map([
  ['HPE_HEADER_OVERFLOW', 431],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 413],
  ['ERR_HTTP_REQUEST_TIMEOUT', 408],
])

/** Answers one request of `node:http`. Must not throw. */
export type NodeListener = (incoming: IncomingMessage, outgoing: ServerResponse) => void

/**
 * The part of a `WebDriver` that every driver on `node:http` shares: listening, limits, answers to invalid requests, a
 * graceful close. The driver turns the listener's requests into web-standard ones.
 *
 * @throws `PORT_IN_USE`, `SETTING_INVALID`
 */
export async function serveNodeHttp(
  { address, limits, clock, tls }: Omit<ServeOptions, 'fetch'>,
  listener: NodeListener,
): Promise<WebServer> {
  const turns = new Turns()
  const options = {
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.idleMs,
    requestTimeout: Math.max(REQUEST_MS, limits.idleMs),
    keepAliveTimeout: limits.idleMs,
    connectionsCheckingInterval: Math.min(LONGEST_CHECK_MS, Math.ceil(limits.idleMs / 2)),
  }
  const onRequest = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const status = refusal(incoming)
    if (status === undefined) turns.take(outgoing, () => listener(incoming, outgoing))
    else refuse(outgoing, status)
  }
  const secure = tls && withTls(() => createTlsServer({ ...options, ...tlsOptions(tls, limits.idleMs) }, onRequest))
  const server = secure ?? createServer(options, onRequest)
  server.on('checkContinue', (incoming: IncomingMessage, outgoing: ServerResponse) => {
    // Only for the request whose turn it is on its connection: otherwise Node would write it behind the head of a later
    // answer.
    if (outgoing.socket !== null) outgoing.writeContinue()
    onRequest(incoming, outgoing)
  })
  server.setTimeout(limits.idleMs)
  const connections = new Connections(server, limits.connections)
  server.on('clientError', answerClientError)
  // Without a handshake there is no way to answer.
  secure?.on('tlsClientError', (_error, socket) => socket.destroy())
  await listen(server, address)
  const closed = new Promise<void>((resolve) => server.once('close', resolve))
  return {
    host: address.host,
    port: boundPort(server),
    scheme: secure === undefined ? 'http' : 'https',
    renewTls: (renewed) => secure?.setSecureContext(secureContext(renewed)),
    async close(graceMs) {
      if (server.listening) server.close()
      connections.drain()
      const timer = clock.schedule(graceMs, () => connections.destroy())
      await closed
      timer.cancel()
    },
  }
}

/** Throws `SETTING_INVALID` if OpenSSL rejects the certificate or key. */
function withTls(create: () => TlsServer): TlsServer {
  try {
    return create()
  } catch (error) {
    throw new MillraceError('SETTING_INVALID', `The site cannot use web.tls: ${toError(error).message}.`, {
      cause: error,
    })
  }
}

function tlsOptions(tls: ServerTls, handshakeTimeout: number): TlsOptions {
  const asks = tls.clientCa !== undefined
  return { ...secureContext(tls), handshakeTimeout, requestCert: asks, rejectUnauthorized: asks }
}

function secureContext({ cert, key, passphrase, clientCa }: ServerTls): SecureContextOptions {
  return {
    cert,
    key,
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(clientCa === undefined ? {} : { ca: clientCa }),
  }
}

function listen(server: Server | TlsServer, address: ServeAddress): Promise<void> {
  const { host, port, exclusive = false } = address
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => reject(bindError(error, address))
    server.once('error', refuse)
    server.listen({ host, port, exclusive }, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}

function bindError(
  cause: NodeJS.ErrnoException,
  { host, port, settings = { host: 'web.host', port: 'web.port' } }: ServeAddress,
): MillraceError {
  if (cause.code === 'EADDRINUSE')
    return new MillraceError('PORT_IN_USE', `Port ${port} on ${host} (${settings.port}) is taken by another process.`, {
      cause,
    })
  return new MillraceError(
    'SETTING_INVALID',
    `The site cannot listen on ${host} (${settings.host}), port ${port} (${settings.port}): ${cause.code ?? cause.message}.`,
    { cause },
  )
}

function boundPort(server: Server | TlsServer): number {
  const address = server.address()
  if (typeof address === 'object' && address !== null) return address.port
  throw new MillraceError('CLOSED', 'The server was closed while it was opened.')
}

/** The status of a request that is refused before it reaches a page. */
function refusal({ rawHeaders, url = '/', headers: { host }, socket }: IncomingMessage): number | undefined {
  if (rawHeaders.length > 2 * MOST_HEADERS) return 431
  if (DOT_SEGMENT.test(url.split('?', 1)[0] ?? '')) return 400
  return isElsewhere(url, `${'encrypted' in socket ? 'https' : 'http'}://${host ?? ''}`) ? 400 : undefined
}

/**
 * A whole URL as the target must match `Host` and the connection. Otherwise a proxy that decides by `Host` would let a
 * request pass that the server takes for another site, or for a secure one.
 */
function isElsewhere(target: string, origin: string): boolean {
  const scheme = /^[a-z][a-z\d+.-]*:\/\//i.exec(target)
  if (scheme === null) return false
  const end = target.slice(scheme[0].length).search(/[/?#]/)
  const named = end < 0 ? target : target.slice(0, scheme[0].length + end)
  return named.toLowerCase() !== origin.toLowerCase()
}

function refuse(outgoing: ServerResponse, status: number): void {
  const body = refusalBody(status)
  // The rest of the request is not read.
  outgoing.writeHead(status, {
    connection: 'close',
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  outgoing.end(body)
}

function refusalBody(status: number): string {
  return JSON.stringify({ error: `${STATUS_CODES[status] ?? ''}.` })
}

/** The answer to a malformed request. The answer has no details, since the request may be an attack. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable || hasAnswer(socket)) {
    socket.destroy()
    return
  }
  const status = REFUSALS.get(error.code ?? '') ?? 400
  const reason = STATUS_CODES[status] ?? ''
  const body = refusalBody(status)
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    'Connection: close',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

/** The error is in the body of a request that is being answered: a second status line would be read as part of the answer. */
function hasAnswer(socket: Duplex): boolean {
  return '_httpMessage' in socket && socket._httpMessage !== null && socket._httpMessage !== undefined
}
