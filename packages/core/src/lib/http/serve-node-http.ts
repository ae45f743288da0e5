import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ServeOptions, WebServer } from '../../contracts/web-driver.ts'
import { MillraceError } from '../errors/millrace-error.ts'

/** How often the server looks for requests that are too slow, at the least. */
const LONGEST_CHECK_MS = 5_000
/** A whole request with its body, whatever is done with it. */
const REQUEST_MS = 300_000

const REFUSALS = new Map([
  ['HPE_HEADER_OVERFLOW', 431],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 413],
  ['ERR_HTTP_REQUEST_TIMEOUT', 408],
])

/** Answers one request of `node:http`. Must not throw. */
export type NodeListener = (incoming: IncomingMessage, outgoing: ServerResponse) => void

/**
 * The part of a `WebDriver` that every driver over `node:http` shares: listening, limits, answers to what is no request,
 * a graceful close. The driver makes web-standard requests of what the listener gets.
 *
 * @throws `PORT_IN_USE`, `SETTING_INVALID`
 */
export async function serveNodeHttp(
  { address, limits, clock }: Omit<ServeOptions, 'fetch'>,
  listener: NodeListener,
): Promise<WebServer> {
  const turns = new Turns()
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.idleMs,
      requestTimeout: Math.max(REQUEST_MS, limits.idleMs),
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: Math.min(LONGEST_CHECK_MS, Math.ceil(limits.idleMs / 2)),
    },
    (incoming, outgoing) => turns.take(outgoing, () => listener(incoming, outgoing)),
  )
  server.setTimeout(limits.idleMs)
  const connections = new Connections(server)
  server.on('clientError', answerClientError)
  await listen(server, address)
  const closed = new Promise<void>((resolve) => server.once('close', resolve))
  return {
    host: address.host,
    port: boundPort(server),
    async close(graceMs) {
      if (server.listening) server.close()
      connections.drain()
      const timer = clock.schedule(graceMs, () => connections.destroy())
      await closed
      timer.cancel()
    },
  }
}

function listen(server: Server, { host, port }: ServeOptions['address']): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => reject(bindError(error, { host, port }))
    server.once('error', refuse)
    server.listen({ host, port }, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}

function bindError(cause: NodeJS.ErrnoException, { host, port }: ServeOptions['address']): MillraceError {
  if (cause.code === 'EADDRINUSE')
    return new MillraceError('PORT_IN_USE', `Port ${port} on ${host} (web.port) is taken by another process.`, {
      cause,
    })
  return new MillraceError(
    'SETTING_INVALID',
    `The site cannot listen on ${host} (web.host), port ${port} (web.port): ${cause.code ?? cause.message}.`,
    { cause },
  )
}

function boundPort(server: Server): number {
  const address = server.address()
  if (typeof address === 'object' && address !== null) return address.port
  throw new MillraceError('CLOSED', 'The server was closed while it was opened.')
}

/** What is sent for a request that could not be read. No more than this line is said of it: it may be an attack. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable || hasAnswer(socket)) {
    socket.destroy()
    return
  }
  const status = REFUSALS.get(error.code ?? '') ?? 400
  const reason = STATUS_CODES[status] ?? ''
  const body = JSON.stringify({ error: `${reason}.` })
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

/**
 * The connections of a server, and which of them have a request in flight. The server's own list is no help when it
 * stops: it counts a connection that has never sent anything as busy, and keeps those that become idle later.
 */
export class Connections {
  /** Answers under way, by connection. */
  readonly #answers = new Map<Socket, Set<ServerResponse>>()
  #closing = false

  constructor(server: Server) {
    server.on('connection', (socket) => this.#opened(socket))
    server.on('request', ({ socket }, answer) => this.#started(socket, answer))
    // Nothing was sent or taken for the whole time.
    server.on('timeout', (socket) => {
      const waitsForClient = !this.#isBusy(socket) || socket.writableLength > 0
      if (waitsForClient) socket.destroy()
    })
  }

  /** From now on a connection ends with the request that it has; those that have none end at once. */
  drain(): void {
    this.#closing = true
    for (const [socket, answers] of this.#answers) {
      for (const answer of answers) answer.shouldKeepAlive = false
      if (answers.size === 0) socket.destroy()
    }
  }

  destroy(): void {
    for (const socket of this.#answers.keys()) socket.destroy()
  }

  #opened(socket: Socket): void {
    if (this.#closing) {
      socket.destroy()
      return
    }
    this.#answers.set(socket, new Set())
    socket.once('close', () => this.#answers.delete(socket))
  }

  #started(socket: Socket, answer: ServerResponse): void {
    this.#answers.get(socket)?.add(answer)
    if (this.#closing) answer.shouldKeepAlive = false
    answer.once('close', () => {
      this.#answers.get(socket)?.delete(answer)
      // Its last bytes may still be on their way.
      if (this.#closing && !this.#isBusy(socket)) socket.end(() => socket.destroy())
    })
  }

  #isBusy(socket: Socket): boolean {
    return (this.#answers.get(socket)?.size ?? 0) > 0
  }
}

/** Requests of one connection that are worked on at the same time. */
const AT_A_TIME = 8
/** More that wait for their turn end the connection: who sends so many does not mean to read the answers. */
const MOST_WAITING = 1_000

interface Waiting {
  readonly answer: ServerResponse
  readonly begin: () => void
}

interface Line {
  busy: number
  readonly waiting: Waiting[]
}

/**
 * Requests of one connection, taken up a few at a time. A client may send thousands at once without waiting (pipelining),
 * and Node hands out all that one piece of its bytes holds: each would hold what its page needs while the answers, which
 * go out in order, wait for the first.
 */
export class Turns {
  readonly #lines = new WeakMap<Socket, Line>()

  /** Begins now, or when an earlier request of the connection is over; never when the connection is gone by then. */
  take(answer: ServerResponse, begin: () => void): void {
    const { socket } = answer.req
    const line = this.#lineOf(socket)
    if (line.busy < AT_A_TIME) this.#begin(line, { answer, begin })
    else if (line.waiting.length < MOST_WAITING) line.waiting.push({ answer, begin })
    else socket.destroy()
  }

  #lineOf(socket: Socket): Line {
    const known = this.#lines.get(socket)
    if (known !== undefined) return known
    const line: Line = { busy: 0, waiting: [] }
    this.#lines.set(socket, line)
    socket.once('close', () => void (line.waiting.length = 0))
    return line
  }

  #begin(line: Line, { answer, begin }: Waiting): void {
    line.busy++
    answer.once('close', () => {
      line.busy--
      const next = answer.req.socket.destroyed ? undefined : line.waiting.shift()
      if (next !== undefined) this.#begin(line, next)
    })
    begin()
  }
}
