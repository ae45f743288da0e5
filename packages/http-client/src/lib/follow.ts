import { HttpClientError } from './http-client-error.ts'
import { backoffMs, mayPass, type Requests } from './requests.ts'
import { readServerEvents, type StreamedEvent } from './server-events.ts'
import { anyOf, sleep, TimeLimit } from './time.ts'

/** A worker says every five seconds that it is there. */
const SILENT_MS = 30_000

/** A watch. */
export interface FollowedPath {
  readonly path: string
  readonly signal: AbortSignal | undefined
}

/**
 * The events of a watch, over as many connections as it takes: each says what the client has already. Ends when `signal`
 * aborts, with its reason, or with an error that no other connection would change.
 */
export async function* follow(requests: Requests, { path, signal }: FollowedPath): AsyncGenerator<StreamedEvent> {
  let lastId: string | undefined
  let waitMs = 0
  for (let failures = 0; ; failures++) {
    // Ends a connection that has fallen silent, and one whose reader has had enough.
    const silence = new TimeLimit(SILENT_MS)
    try {
      const headers = { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) }
      const { body } = await requests.open(path, headers, anyOf(silence.signal, signal))
      if (body === null) throw new HttpClientError('The answer is empty.', { code: 'UNREACHABLE' })
      for await (const said of readServerEvents(body, () => silence.restart())) {
        failures = 0
        waitMs = said.retryMs ?? waitMs
        lastId = said.id ?? lastId
        if (said.event !== undefined) yield said
      }
    } catch (thrown) {
      signal?.throwIfAborted()
      if (thrown instanceof HttpClientError && !mayPass(thrown)) throw thrown
      if (thrown instanceof HttpClientError) waitMs = thrown.retryAfterMs ?? waitMs
    } finally {
      silence.end()
    }
    await sleep(Math.max(waitMs, backoffMs(failures)), signal)
  }
}
