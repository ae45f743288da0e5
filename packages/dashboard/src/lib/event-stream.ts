import { jsonText } from '@millrace/core'
import { mergePatch, type Json } from './merge-patch.ts'

export interface EventStreamOptions {
  /** The current state. */
  readonly state: () => Promise<SharedState>
  readonly messages: StateMessages
  /** Calls the given function whenever `state` may have changed, and once when no more changes follow. */
  readonly listen: (fn: () => void) => () => void
  /** No more changes follow. */
  readonly over: () => boolean
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal
}

/** How long a browser waits before it reconnects, in milliseconds. */
const RETRY_MS = 1_000

/**
 * Server-sent events: `state` with the whole state, then `change` with the changes as JSON merge patches. A slow client
 * gets the sum of the changes it missed: nothing is buffered for it.
 */
export function eventStream(options: EventStreamOptions): Response {
  return new Response(new ReadableStream<Uint8Array>(new StateEvents(options), { highWaterMark: 2 }), {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  })
}

/** Fills the stream: a message whenever the state may have changed and the stream has room for one. */
class StateEvents {
  readonly #options: EventStreamOptions
  readonly #encoder = new TextEncoder()
  readonly #end = (): void => {
    if (this.#stop()) this.#controller?.close()
  }
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #leave = (): void => {}
  #sent: SharedState | undefined
  #isAsking = false
  /** A change that the stream had no room for. */
  #isBehind = false
  #isOver = false

  constructor(options: EventStreamOptions) {
    this.#options = options
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const { signal, listen } = this.#options
    this.#controller = controller
    this.#write(`retry: ${RETRY_MS}\n\n`)
    if (signal.aborted) return this.#end()
    signal.addEventListener('abort', this.#end, { once: true })
    this.#leave = listen(() => this.#update())
    this.#update()
  }

  pull(): void {
    if (this.#isBehind) this.#update()
  }

  cancel(): void {
    this.#stop()
  }

  #update(): void {
    this.#send().catch((thrown: unknown) => {
      if (this.#stop()) this.#controller?.error(thrown)
    })
  }

  async #send(): Promise<void> {
    const { state, messages, over } = this.#options
    if (over()) return this.#end()
    // The last message has not been sent yet, or the next state is still being read.
    this.#isBehind = (this.#controller?.desiredSize ?? 0) <= 0
    if (this.#isAsking || this.#isBehind) return
    this.#isAsking = true
    try {
      const now = await state()
      if (this.#isOver) return
      const message = messages.from(this.#sent, now)
      if (message !== '') this.#write(message)
      this.#sent = now
    } finally {
      this.#isAsking = false
    }
  }

  #write(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text))
  }

  /** True for the first state. */
  #stop(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#leave()
    this.#options.signal.removeEventListener('abort', this.#end)
    return true
  }
}

/** The states that streams send: many streams share one, and compare it by identity. */
export interface SharedState {
  readonly json: Json
}

/** Without `null`, because `null` in a merge patch means removal. */
export function sharedState(value: unknown): SharedState {
  return { json: JSON.parse(jsonText(value), (_, each: unknown) => (each === null ? undefined : each)) }
}

/** Server-sent events about a state. Each message between two states is created once, however many streams send it. */
export class StateMessages {
  readonly #whole = new WeakMap<SharedState, string>()
  readonly #changes = new WeakMap<SharedState, WeakMap<SharedState, string>>()

  /** `state` with the whole state, or `change` with a merge patch; empty if nothing changed. */
  from(before: SharedState | undefined, now: SharedState): string {
    if (before === undefined)
      return remember(this.#whole, now, () => `event: state\ndata: ${JSON.stringify(now.json)}\n\n`)
    const fromThere = remember(this.#changes, before, () => new WeakMap<SharedState, string>())
    return remember(fromThere, now, () => {
      const change = mergePatch(before.json, now.json)
      return change === undefined ? '' : `event: change\ndata: ${JSON.stringify(change)}\n\n`
    })
  }
}

function remember<K extends object, V>(known: WeakMap<K, V>, key: K, make: () => V): V {
  const found = known.get(key)
  if (found !== undefined) return found
  const made = make()
  known.set(key, made)
  return made
}
