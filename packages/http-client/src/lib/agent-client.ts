import type { SentAsJson } from './json.ts'
import type { CallOptions } from './options.ts'
import type { Requests } from './requests.ts'

/** Options of `ask`. */
export interface QuestionOptions<K> extends CallOptions {
  readonly key?: SentAsJson<K> | undefined
}

/** An agent of the app, for asking it. */
export interface AgentClient<K, V, R> {
  /**
   * Sends a value to the agent, and resolves with the first value that it yields for it. The time for the answer is that of the
   * call, and ends before the worker's `web.requestTimeout` at the latest. A question that may have arrived is not sent again.
   *
   * @throws `HttpClientError`: `ASK_FAILED` with the message of the agent's error, `ASK_TIMEOUT`, `SCHEMA_MISMATCH`, `AGENT_MISSING`,
   * `AGENT_PRIVATE` for an agent without `http: true`; the signal's reason
   * @example
   * const price = await client.agent('prices').ask('milk')
   */
  ask(value: SentAsJson<V>, options?: QuestionOptions<K>): Promise<R>
}

/** Of a call's time, what is left for the worker to say that the agent has not answered. */
const SHARE = 0.9

export class HttpAgent implements AgentClient<unknown, unknown, unknown> {
  readonly #requests: Requests
  readonly #name: string

  constructor(requests: Requests, name: string) {
    this.#requests = requests
    this.#name = name
  }

  ask(value: unknown, { key, ...options }: QuestionOptions<unknown> = {}): Promise<unknown> {
    return this.#requests.json({
      ...options,
      path: `agent/${encodeURIComponent(this.#name)}/ask/`,
      body: (leftMs) => ({ key, value: value === undefined ? null : value, timeout: Math.ceil(leftMs * SHARE) }),
    })
  }
}
