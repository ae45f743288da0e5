import { isIP } from 'node:net'
import { Readable } from 'node:stream'
import type { Agent, Dispatcher } from 'undici'
import type { Clock } from '@millrace/core'
import { bodyStream } from '@millrace/core/http'
import type { Certificates } from './certificates.ts'
import type { PeerAddresses } from './peer-addresses.ts'

/** Connections to one worker at a time; more requests wait, within their time. */
const CONNECTIONS = 64
/** How long an unused connection is kept; a server may close it earlier, and says so. */
const KEEP_ALIVE_MS = 20_000

/** Of one connection or one leg of the way: never passed on. */
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
  /** Until the head of the answer, and between pieces of its body. */
  readonly limitMs: number
  /** In place of those of the request: `endToEnd`, and what is added. */
  readonly headers: Headers
}

/** The other worker did not answer within the limit. */
export class ForwardTimeout extends Error {
  override readonly name: string = 'ForwardTimeout'
}

/** Where requests may go, and what is trusted there. */
export interface Ways {
  readonly addresses: PeerAddresses
  readonly certificates: Certificates
}

/**
 * Sends requests on to the sites of other workers, over connections that are kept. Method, path, query, headers and body
 * are the client's, the status, headers and body that come back the other worker's.
 */
export class Forwarder {
  readonly #clock: Clock
  readonly #ways: Ways
  /** Opened by the first request. */
  #agent: Promise<Agent> | undefined

  constructor(clock: Clock, ways: Ways) {
    this.#clock = clock
    this.#ways = ways
  }

  /** Rejects with `AddressRefused`, with `ForwardTimeout`, with the signal's reason, or with what made the connection impossible. */
  async forward({ address, request, signal, limitMs, headers }: ForwardOptions): Promise<Response> {
    const { pathname, search } = new URL(request.url)
    const { addresses, certificates } = this.#ways
    const { origin, hostname } = addresses.check(address)
    const agent = await (this.#agent ??= openAgent(this.#ways))
    const late = new AbortController()
    const timer = this.#clock.schedule(limitMs, () =>
      late.abort(new ForwardTimeout(`${address} did not answer within ${limitMs} ms.`)),
    )
    const wanted = {
      origin,
      // Undici takes it, though its types do not say so; else it were the name that the client has asked for.
      servername: certificates.servername ?? hostname,
      path: pathname + search,
      method: request.method,
      headers: [...headers].flat(),
      body: bodyOf(request),
      signal: AbortSignal.any([signal, late.signal]),
      bodyTimeout: limitMs,
    }
    try {
      return responseOf(await agent.request(wanted), request.method)
    } finally {
      timer.cancel()
    }
  }

  /** Lets requests under way finish, for `graceMs` at most. */
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

/** Loads undici, a tenth of what a worker takes to start: most workers never send a request on. */
async function openAgent({ addresses: { lookup }, certificates }: Ways): Promise<Agent> {
  const { Agent, buildConnector } = await import('undici')
  return new Agent({
    connections: CONNECTIONS,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    connect(options, callback) {
      const { servername = '', ...rest } = options
      // Made for each connection, for the certificates may have changed. A name is sent, an address is not.
      const connector = buildConnector({ ...certificates.client(), lookup, maxCachedSessions: 0 })
      connector(isIP(servername) === 0 ? { ...rest, servername } : rest, callback)
    },
  })
}

function bodyOf(request: Request): Readable | null {
  return request.body === null ? null : Readable.fromWeb(request.body)
}

/** Headers without those that are of one connection only. */
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
  // There is nothing in it, but only its end frees the connection.
  body.resume()
  return new Response(null, { status: statusCode, headers: kept })
}

/** Names in `Connection` are of this connection, too. */
function droppedBy(connection: string | null): readonly string[] {
  const named = (connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  return [...HOP_BY_HOP, ...named.filter((name) => /^[!#$%&'*+\-.^_`|~\da-z]+$/.test(name))]
}
