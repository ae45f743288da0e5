import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

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
