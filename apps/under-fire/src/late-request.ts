import type { Socket } from 'node:net'

/** Bytes before a request's api key, and the key of produce requests. */
const SIZE_BYTES = 4
const PRODUCE = 0

/** Keeps the first produce request with a text, and all that follows it on its connection. */
export class LateRequest {
  readonly #text: string
  readonly #bytes: Buffer[] = []
  #broker: Socket | undefined
  #released = false
  #answered = false

  constructor(text: string) {
    this.#text = text
  }

  /** It has left the client. */
  get held(): boolean {
    return this.#broker !== undefined
  }

  /** The broker has said something about it. */
  get answered(): boolean {
    return this.#answered
  }

  /** Whether it is on its way over this connection. */
  keeps(broker: Socket): boolean {
    return broker === this.#broker && !this.#answered
  }

  /** Whether it has kept them. */
  keep(broker: Socket, bytes: Buffer): boolean {
    if (this.#released || (this.#broker ?? broker) !== broker) return false
    if (this.#broker === undefined && !isProduce(bytes, this.#text)) return false
    this.#broker = broker
    this.#bytes.push(bytes)
    return true
  }

  /** Lets it go on to the broker. */
  release(): void {
    this.#released = true
    this.#broker?.write(Buffer.concat(this.#bytes))
  }

  /** Lets it get lost, with its connection. */
  drop(): void {
    this.#released = true
    this.#broker?.destroy()
  }

  /** Something came from the broker. */
  heard(broker: Socket): void {
    if (this.#released && broker === this.#broker) this.#answered = true
  }
}

/** Clients begin each request with a write of its own. */
function isProduce(bytes: Buffer, text: string): boolean {
  return bytes.length > SIZE_BYTES + 2 && bytes.readInt16BE(SIZE_BYTES) === PRODUCE && bytes.includes(text)
}
