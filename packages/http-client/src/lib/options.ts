/** Milliseconds, or text such as `'250ms'`, `'10s'`, `'5m'`, `'1h'`. */
export type CallDuration = number | `${number}${'ms' | 's' | 'm' | 'h'}`

/** The part of the web-standard `fetch` that the client calls. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** Options of `createClient`. */
export interface HttpClientOptions {
  /** The app's `web.token`. Default: none, which works on the worker's own machine. */
  readonly token?: string | undefined
  /** Sent with each request, for a proxy in front of the workers. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The time for a call, with its retries; of a listing, for each page. Default `'30s'`. */
  readonly timeout?: CallDuration | undefined
  /** Default: the global `fetch`. */
  readonly fetch?: Fetch | undefined
}

/** Options of a call. */
export interface CallOptions {
  /** Ends the call, which rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** The time for the call, with its retries; of a listing, for each page. Default: that of the client. */
  readonly timeout?: CallDuration | undefined
}

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

/** Milliseconds. Throws a `RangeError` that names the option. */
export function parseDuration(duration: CallDuration, option: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(String(duration)) ?? []
  const ms = typeof duration === 'number' ? duration : Number(number) * (UNITS[unit as keyof typeof UNITS] ?? NaN)
  if (ms > 0 && Number.isFinite(ms)) return ms
  throw new RangeError(
    `${option} is ${JSON.stringify(duration)}; it takes milliseconds above 0, or text such as '10s'.`,
  )
}
