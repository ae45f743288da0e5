import { Wakeup } from '../events/source.ts'

/** Asks in flight at a time, including replies not yet consumed. */
export const ASKS_IN_FLIGHT = 100

export interface IndexedReply<R> {
  /** Position of the value in the input. */
  readonly index: number
  readonly reply: R
}

type AskOutcome<R> =
  | { readonly ok: true; readonly value: IndexedReply<R> }
  | { readonly ok: false; readonly error: unknown }

/** Asks for each value, a few at a time, and yields the replies as they arrive. Ends with the first error. */
export async function* askWindow<V, R>(
  values: Iterable<V> | AsyncIterable<V>,
  ask: (value: V) => Promise<R>,
): AsyncGenerator<IndexedReply<R>, void, undefined> {
  const outcomes: AskOutcome<R>[] = []
  const arrived = new Wakeup()
  const taken = new Wakeup()
  let inFlight = 0
  let asking = true
  let left = false
  const done = (outcome: AskOutcome<R>): void => {
    outcomes.push(outcome)
    arrived.wake()
  }
  const askAll = async (): Promise<void> => {
    let index = 0
    for await (const value of values) {
      while (inFlight >= ASKS_IN_FLIGHT && !left) await taken.wait()
      if (left) return
      inFlight++
      const at = index++
      ask(value).then(
        (reply) => done({ ok: true, value: { index: at, reply } }),
        (error: unknown) => done({ ok: false, error }),
      )
    }
  }
  askAll()
    .catch((error: unknown) => done({ ok: false, error }))
    .finally(() => {
      asking = false
      arrived.wake()
    })
  try {
    for (;;) {
      const outcome = outcomes.shift()
      if (outcome === undefined) {
        if (!asking && inFlight === 0) return
        await arrived.wait()
        continue
      }
      inFlight--
      taken.wake()
      if (!outcome.ok) throw outcome.error
      yield outcome.value
    }
  } finally {
    left = true
    taken.wake()
  }
}
