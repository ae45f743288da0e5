import { now } from './time.ts'

/** What the error knows besides its message. */
export interface HttpClientErrorOptions {
  readonly code: string
  readonly status?: number | undefined
  readonly missing?: readonly number[] | undefined
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/**
 * Why a call has failed. `message` is what the worker says.
 *
 * @example
 * await client.agent('prices').ask('milk').catch((error) => {
 *   if (error instanceof HttpClientError && error.code === 'ASK_TIMEOUT') return undefined
 *   throw error
 * })
 */
export class HttpClientError extends Error {
  override readonly name: string = 'HttpClientError'
  /**
   * The worker's code of the error, such as `KEY_INVALID` or `ASK_FAILED`; `PARTITIONS_MISSING`; `TIMEOUT` and `UNREACHABLE` if no
   * worker has answered; otherwise `HTTP_` and the status.
   */
  readonly code: string
  /** Of the last answer; `undefined` if there was none. */
  readonly status: number | undefined
  /** With `PARTITIONS_MISSING`: the partitions for which no worker answers. */
  readonly missing: readonly number[]
  /** When the worker wants to be asked again; `undefined` if it does not say so. */
  readonly retryAfterMs: number | undefined

  constructor(message: string, { code, status, missing = [], retryAfterMs, cause }: HttpClientErrorOptions) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.status = status
    this.missing = missing
    this.retryAfterMs = retryAfterMs
  }
}

/** The error that an answer means. */
export async function errorOf(response: Response): Promise<HttpClientError> {
  const { status, headers } = response
  const missing = headers.get('millrace-missing')
  return new HttpClientError(await messageOf(response), {
    status,
    code: headers.get('millrace-error') ?? `HTTP_${status}`,
    missing: missing === null ? [] : missing.split(',').map(Number),
    retryAfterMs: waitOf(headers.get('retry-after')),
  })
}

/** A proxy may answer something else. */
async function messageOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => '')
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'string')
      return body.error
  } catch {
    // It is not JSON: the status says enough.
  }
  return `The answer is ${response.status}, and not one of a Millrace app: is the URL right?`
}

/** `Retry-After` is a number of seconds, or a date. */
function waitOf(text: string | null): number | undefined {
  if (text === null) return undefined
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now()
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}
