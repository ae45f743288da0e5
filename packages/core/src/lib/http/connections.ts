import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'

/**
 * The connections of a server, up to a limit, and which of them have a request in flight. The server's own list does
 * not help at a stop: it counts a connection that has never sent anything as busy, and keeps those that become idle
 * later. Its own limit rejects the newcomer, so that idle clients could keep all others out.
 */
export class Connections {
  readonly #most: number
  /** Answers under way, by connection. */
  readonly #answers = new Map<Socket, Set<ServerResponse>>()
  /** Connections without a request in flight, the longest idle first. */
  readonly #idle = new Set<Socket>()
  /** A TLS connection becomes another socket once it is secure: these are not yet, by both of their ends. */
  readonly #handshakes = new Map<string, Socket>()
  #closing = false

  constructor(server: Server | TlsServer, most: number) {
    this.#most = most
    server.on('connection', (socket: Socket) => this.#opened(socket))
    server.on('secureConnection', (socket: Socket) => this.#secured(socket))
    for (const event of ['request', 'checkContinue'])
      server.on(event, ({ socket }: IncomingMessage, answer: ServerResponse) => this.#started(socket, answer))
    // Nothing was sent or read for the whole time.
    server.on('timeout', (socket) => {
      if (!this.#isBusy(socket) || isNotTaken(socket)) socket.destroy()
    })
  }

  /** Closes idle connections at once, and each other one after its current request. */
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
    if (this.#answers.size >= this.#most) this.#end(this.#dispensable())
    if (this.#closing || this.#answers.size >= this.#most) {
      socket.destroy()
      return
    }
    this.#add(socket)
    const ends = endsOf(socket)
    this.#handshakes.set(ends, socket)
    socket.once('close', () => this.#handshakes.delete(ends))
  }

  #secured(socket: Socket): void {
    const before = this.#handshakes.get(endsOf(socket))
    if (before !== undefined) this.#forget(before)
    if (this.#closing) socket.destroy()
    else this.#add(socket)
  }

  #add(socket: Socket): void {
    this.#answers.set(socket, new Set())
    this.#idle.add(socket)
    socket.once('close', () => this.#forget(socket))
  }

  /**
   * The connection that is closed for a new one: the longest idle, or otherwise one whose client does not read its
   * answer.
   */
  #dispensable(): Socket | undefined {
    for (const socket of this.#idle) return socket
    for (const socket of this.#answers.keys()) if (isNotTaken(socket)) return socket
    return undefined
  }

  #end(socket: Socket | undefined): void {
    if (socket === undefined) return
    this.#forget(socket)
    socket.destroy()
  }

  #forget(socket: Socket): void {
    this.#answers.delete(socket)
    this.#idle.delete(socket)
  }

  #started(socket: Socket, answer: ServerResponse): void {
    const answers = this.#answers.get(socket)
    if (answers === undefined) return
    answers.add(answer)
    this.#idle.delete(socket)
    if (this.#closing) answer.shouldKeepAlive = false
    answer.once('close', () => {
      answers.delete(answer)
      if (answers.size > 0 || !this.#answers.has(socket)) return
      // Its last bytes may not have been sent yet.
      if (this.#closing) socket.end(() => socket.destroy())
      else this.#idle.add(socket)
    })
  }

  #isBusy(socket: Socket): boolean {
    return (this.#answers.get(socket)?.size ?? 0) > 0
  }
}

function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${localPort} ${remoteAddress} ${remotePort}`
}

/** Whether written bytes wait for the client to read them. */
function isNotTaken(socket: Socket): boolean {
  return socket.writableLength > 0
}
