import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** How many requests of one connection are handled at the same time. */
const AT_A_TIME = 8
/** A connection with more waiting requests is closed, because its client does not mean to read the answers. */
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
 * Requests of one connection, handled a few at a time. A client may send thousands at once without waiting
 * (pipelining), and Node emits all requests in one piece of its bytes: each would hold the resources of its page while
 * the answers, which are sent in order, wait for the first.
 */
export class Turns {
  readonly #lines = new WeakMap<Socket, Line>()

  /** Begins now, or when an earlier request of the connection is over; never if the connection has closed by then. */
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
