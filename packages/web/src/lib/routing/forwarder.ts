import { isIP } from 'node:net'
import { Readable } from 'node:stream'
import type { Agent, Dispatcher } from 'undici'
import type { Clock } from '@millrace/core'
import { bodyStream } from '@millrace/core/http'
import type { Certificates } from './certificates.ts'
import type { PeerAddresses } from './peer-addresses.ts'

/** How long an idle connection is kept; a server may close it earlier and announces that. */
const KEEP_ALIVE_MS = 20_000

/** Hop-by-hop headers, which are never forwarded. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
]
const WITHOUT_BODY = new Set([101, 103, 204, 205, 304])

export interface ForwardOptions {
  /** Host and port of the other worker's site. */
  readonly address: string
  readonly request: Request
  readonly signal: AbortSignal
  /** Limit until the response headers, and between pieces of the body unless `idleMs` is given. */
  readonly limitMs: number
  readonly idleMs?: number | undefined
  /** Replaces the request's own headers: the `endToEnd` headers and additions. */
  readonly headers: Headers
}

/** The other worker did not answer within the limit. */
export class ForwardTimeout extends Error {
  override readonly name: string = 'ForwardTimeout'
}

/** The peers to which requests may be forwarded, and the certificates to trust. */
export interface Ways {
  readonly addresses: PeerAddresses
  readonly certificates: Certificates
}

/**
 * Forwards requests to the sites of other workers over pooled connections. The method, path, query, headers and body
 * are the client's; the response's status, headers and body are the other worker's.
 */
export class Forwarder {
  readonly #clock: Clock
  readonly #ways: Ways
  readonly #connections: number | null
  /** Opened by the first request. */
  #agent: Promise<Agent> | undefined

  /** `connections`: to one worker at a time; `null` is no limit. */
  constructor(clock: Clock, ways: Ways, connections: number | null = null) {
    this.#clock = clock
    this.#ways = ways
    this.#connections = connections
  }

  /** Rejects with `AddressRefused`, `ForwardTimeout`, the signal's reason, or the connection's error. */
  async forward({ address, request, signal, limitMs, idleMs = limitMs, headers }: ForwardOptions): Promise<Response> {
    const { pathname, search } = new URL(request.url)
    const { addresses, certificates } = this.#ways
    const { origin, hostname } = addresses.check(address)
    const agent = await (this.#agent ??= openAgent(this.#ways, this.#connections))
    const late = new AbortController()
    const timer = this.#clock.schedule(limitMs, () =>
      late.abort(new ForwardTimeout(`${address} did not answer within ${limitMs} ms.`)),
    )
    const wanted = {
      origin,
      // Undici accepts this although its types omit it. Otherwise SNI would be the client's Host.
      servername: certificates.servername ?? hostname,
      path: pathname + search,
      method: request.method,
      headers: [...headers].flat(),
      body: bodyOf(request),
      signal: AbortSignal.any([signal, late.signal]),
      bodyTimeout: idleMs,
    }
    try {
      return responseOf(await agent.request(wanted), request.method)
    } finally {
      timer.cancel()
    }
  }

  /** Waits for requests in flight, for at most `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const agent = await this.#agent
    if (agent === undefined) return
    const timer = this.#clock.schedule(graceMs, () => void agent.destroy())
    try {
      await agent.close()
    } finally {
      timer.cancel()
    }
  }
}

/** Loads undici lazily: it takes a tenth of a worker's start-up time, and most workers never forward a request. */
async function openAgent({ addresses: { lookup }, certificates }: Ways, connections: number | null): Promise<Agent> {
  const { Agent, buildConnector } = await import('undici')
  return new Agent({
    connections,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    connect(options, callback) {
      const { servername = '', ...rest } = options
      // Created for each connection, because the certificates may have changed. SNI carries names only, never
      // addresses.
      const connector = buildConnector({ ...certificates.client(), lookup, maxCachedSessions: 0 })
      connector(isIP(servername) === 0 ? { ...rest, servername } : rest, callback)
    },
  })
}

function bodyOf(request: Request): Readable | null {
  return request.body === null ? null : Readable.fromWeb(request.body)
}

/** Headers without the hop-by-hop ones. */
export function endToEnd(given: Headers): Headers {
  const headers = new Headers(given)
  for (const name of droppedBy(headers.get('connection'))) headers.delete(name)
  return headers
}

function responseOf({ statusCode, headers: given, body }: Dispatcher.ResponseData, method: string): Response {
  const headers = new Headers()
  for (const [name, value = ''] of Object.entries(given)) for (const each of [value].flat()) headers.append(name, each)
  const kept = endToEnd(headers)
  if (method !== 'HEAD' && !WITHOUT_BODY.has(statusCode))
    return new Response(
      bodyStream(body, () => void body.destroy()),
      { status: statusCode, headers: kept },
    )
  // The body is empty, but the connection is only freed once it ends.
  body.resume()
  return new Response(null, { status: statusCode, headers: kept })
}

/** Headers named in `Connection` are hop-by-hop, too. */
function droppedBy(connection: string | null): readonly string[] {
  const named = (connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  return [...HOP_BY_HOP, ...named.filter((name) => /^[!#$%&'*+\-.^_`|~\da-z]+$/.test(name))]
}
