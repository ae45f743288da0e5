import { jsonText } from '@millrace/web'
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
export function eventStream({ state, messages, listen, over, signal }: EventStreamOptions): Response {
  const encoder = new TextEncoder()
  const ended = new AbortController()
  let leave = (): void => {}
  let sent: SharedState | undefined
  let isAsking = false
  /** There was no room for what changed. */
  let isBehind = false
  let lookAgain = (): void => {}
  const body = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const end = (): void => {
          if (ended.signal.aborted) return
          leave()
          ended.abort()
          signal.removeEventListener('abort', end)
          controller.close()
        }
        const say = (text: string): void => controller.enqueue(encoder.encode(text))
        const look = async (): Promise<void> => {
          if (over()) return end()
          // The last message has not gone out yet, or the answer to it is still being looked for.
          isBehind = (controller.desiredSize ?? 0) <= 0
          if (isAsking || isBehind) return
          isAsking = true
          try {
            const now = await state()
            if (ended.signal.aborted) return
            const message = messages.from(sent, now)
            if (message !== '') say(message)
            sent = now
          } finally {
            isAsking = false
          }
        }
        lookAgain = () => {
          look().catch((thrown: unknown) => {
            if (ended.signal.aborted) return
            leave()
            ended.abort()
            controller.error(thrown)
          })
        }
        say(`retry: ${RETRY_MS}\n\n`)
        if (signal.aborted) return end()
        signal.addEventListener('abort', end, { once: true })
        leave = listen(lookAgain)
        lookAgain()
      },
      pull() {
        if (isBehind) lookAgain()
      },
      cancel() {
        leave()
        ended.abort()
      },
    },
    { highWaterMark: 2 },
  )
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  })
}

/** What streams send: many of them share one, and compare it by identity. */
export interface SharedState {
  readonly json: Json
}

/** Without `null`, which a merge patch could not tell from what is gone. */
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
