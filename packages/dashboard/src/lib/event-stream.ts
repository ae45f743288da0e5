import { jsonText } from '@millrace/core'
import { mergePatch, type Json } from './merge-patch.ts'

export interface EventStreamOptions {
  /** What there is now. */
  readonly state: () => Promise<SharedState>
  readonly messages: StateMessages
  /** Calls the function given whenever `state` may have changed, and once when there is nothing more to come. */
  readonly listen: (fn: () => void) => () => void
  /** There is nothing more to come. */
  readonly over: () => boolean
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal
}

/** How long a browser waits before it connects again, in milliseconds. */
const RETRY_MS = 1_000

/**
 * Server-sent events: `state` with all there is, then `change` with what changed, as JSON merge patches. A client that
 * reads more slowly than things change gets the sum of the changes it missed: nothing is kept for it.
 */
export function eventStream(options: EventStreamOptions): Response {
  return new Response(new ReadableStream<Uint8Array>(new StateEvents(options), { highWaterMark: 2 }), {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  })
}

/** What fills the stream: a message whenever the state may have changed, and there is room for one. */
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
  /** There was no room for what changed. */
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
    // The last message has not gone out yet, or the state for the next one is still being read.
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

  /** True the first time. */
  #stop(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#leave()
    this.#options.signal.removeEventListener('abort', this.#end)
    return true
  }
}

/** What streams send: many of them share one, and compare it by identity. */
export interface SharedState {
  readonly json: Json
}

/** Without `null`, by which a merge patch means that something is gone. */
export function sharedState(value: unknown): SharedState {
  return { json: JSON.parse(jsonText(value), (_, each: unknown) => (each === null ? undefined : each)) }
}

/** Server-sent events about a state. However many streams go from one state to the next, its message is made once. */
export class StateMessages {
  readonly #whole = new WeakMap<SharedState, string>()
  readonly #changes = new WeakMap<SharedState, WeakMap<SharedState, string>>()

  /** `state` with all there is, or `change` with a merge patch; empty when nothing changed. */
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
