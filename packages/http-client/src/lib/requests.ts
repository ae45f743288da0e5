import { errorOf, HttpClientError } from './http-client-error.ts'
import { type CallOptions, type HttpClientOptions, type Fetch, parseDuration } from './options.ts'
import { anyOf, now, sleep, TimeLimit } from './time.ts'

/** Between two attempts at a worker that cannot be reached. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 2_000
const DEFAULT_TIMEOUT_MS = 30_000

/** A call as a request. */
export interface HttpCall extends CallOptions {
  /** Below the URL of the app, with the query. */
  readonly path: string
  /** Sent as JSON, with POST; `undefined` for GET. */
  readonly body?: ((leftMs: number) => unknown) | undefined
}

/** Sends requests, again if need be, within their time. */
export class Requests {
  readonly #base: URL
  readonly #headers: Readonly<Record<string, string>>
  readonly #timeoutMs: number
  readonly #fetch: Fetch

  /** Throws a `TypeError` for a URL that is none, and a `RangeError`. */
  constructor(url: string | URL, { token, headers = {}, timeout = DEFAULT_TIMEOUT_MS, fetch }: HttpClientOptions) {
    this.#base = new URL(url)
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/'
    this.#headers = { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
    this.#timeoutMs = parseDuration(timeout, 'timeout')
    this.#fetch = fetch ?? ((address, init) => globalThis.fetch(address, init))
  }

  /**
   * The answer to a call, if it is one of success. A 503 with `Retry-After` is asked again; so is a worker that cannot be
   * reached, unless it may have begun with a POST.
   *
   * @throws `HttpClientError`, or the signal's reason
   */
  async json(call: HttpCall): Promise<unknown> {
    const { signal } = call
    const timeoutMs = call.timeout === undefined ? this.#timeoutMs : parseDuration(call.timeout, 'timeout')
    const limit = new TimeLimit(timeoutMs)
    const endsAt = now() + timeoutMs
    const either = anyOf(limit.signal, signal)
    let last: HttpClientError | undefined
    try {
      for (let attempt = 0; ; attempt++) {
        const answer = await this.#attempt(call, either, endsAt)
        if (!('error' in answer)) return answer.value
        last = answer.error
        await sleep(last.retryAfterMs ?? backoffMs(attempt), either)
      }
    } catch (thrown) {
      signal?.throwIfAborted()
      if (!limit.signal.aborted) throw thrown
      if (last !== undefined) throw last
      const message = `${this.#base.href}${call.path} has not answered within ${timeoutMs} ms.`
      throw new HttpClientError(message, { code: 'TIMEOUT', cause: thrown })
    } finally {
      limit.end()
    }
  }

  /** One request, whose answer is a stream. Throws as `json` does. */
  async open(path: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response> {
    const response = await this.#send(path, { headers: { ...this.#headers, ...headers }, signal })
    if (!response.ok) throw await errorOf(response)
    return response
  }

  /** An error is returned if another attempt may succeed. */
  async #attempt(
    { path, body }: HttpCall,
    signal: AbortSignal,
    endsAt: number,
  ): Promise<{ readonly value: unknown } | { readonly error: HttpClientError }> {
    signal.throwIfAborted()
    try {
      const response = await this.#send(path, { signal, ...this.#message(body, endsAt) })
      if (response.ok) return { value: await readJson(response) }
      const error = await errorOf(response)
      if (response.status === 503 && error.retryAfterMs !== undefined) return { error }
      throw error
    } catch (thrown) {
      if (signal.aborted || !isUnreachable(thrown) || body !== undefined) throw thrown
      return { error: thrown }
    }
  }

  #message(body: HttpCall['body'], endsAt: number): RequestInit {
    if (body === undefined) return { headers: this.#headers }
    const headers = { ...this.#headers, 'content-type': 'application/json', 'millrace-action': 'ask' }
    return { method: 'POST', headers, body: JSON.stringify(body(Math.max(1, endsAt - now()))) }
  }

  async #send(path: string, init: RequestInit): Promise<Response> {
    const url = `${this.#base.href}${path}`
    try {
      return await this.#fetch(url, init)
    } catch (cause) {
      if (init.signal?.aborted === true) throw cause
      throw new HttpClientError(`${url} cannot be reached.`, { code: 'UNREACHABLE', cause })
    }
  }
}

/** Rejects with `UNREACHABLE` if the connection breaks meanwhile, and with `HTTP_200` if it is something else. */
async function readJson(response: Response): Promise<unknown> {
  const { status, url } = response
  let text: string
  try {
    text = await response.text()
  } catch (cause) {
    throw new HttpClientError(`The answer of ${url} has broken off.`, { code: 'UNREACHABLE', status, cause })
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    const message = `The answer of ${url} is not JSON: is the URL that of a Millrace app?`
    throw new HttpClientError(message, { code: `HTTP_${status}`, status, cause })
  }
}

/** Whether a call has failed for a reason that passes: a worker that stops, a rebalance, a broken connection. */
export function mayPass(thrown: unknown): boolean {
  return isUnreachable(thrown) || (thrown instanceof HttpClientError && [502, 503, 504].includes(thrown.status ?? 0))
}

function isUnreachable(thrown: unknown): thrown is HttpClientError {
  return thrown instanceof HttpClientError && thrown.code === 'UNREACHABLE'
}

/** How long to wait after so many failures. */
export function backoffMs(failures: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** failures, LONGEST_WAIT_MS) * (0.5 + Math.random() / 2)
}
