import type { Clock, Logger } from '@millrace/core'
import { PageError } from '../pages/page-error.ts'
import type { Page } from './page-registry.ts'

/** The log says at most this often that requests are refused. */
const SAY_AGAIN_MS = 10_000

export interface EntranceOptions {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly log: Pick<Logger, 'warn'>
  /** Requests at the same time. */
  readonly most: () => number
  /** The pages served: all, or the app's pages and health. */
  readonly pages: 'all' | 'public'
}

/** Thrown when a request is refused because too many are in flight; the log has it already. */
export class Overloaded extends PageError {
  override readonly name: string = 'Overloaded'

  constructor(most: number) {
    super(503, `${most} requests are in flight already (web.maxRequests).`, { headers: { 'retry-after': '1' } })
  }
}

/** An entrance for requests, one for each listener: its pages, its requests in flight, and its limit on them. */
export class Entrance {
  readonly #options: EntranceOptions
  #inFlight = 0
  /** Requests refused since the last log line. */
  #refused = 0
  #saidMs = -Infinity

  constructor(options: EntranceOptions) {
    this.#options = options
  }

  has({ builtIn, everywhere }: Pick<Page, 'builtIn' | 'everywhere'>): boolean {
    return this.#options.pages === 'all' || !builtIn || everywhere
  }

  /** Admits a request, which ends with `left`. Throws `Overloaded`. */
  enter(): void {
    const most = this.#options.most()
    if (this.#inFlight >= most) {
      this.#refused++
      this.#say(most)
      throw new Overloaded(most)
    }
    this.#inFlight++
  }

  left(): void {
    this.#inFlight--
  }

  #say(most: number): void {
    const { clock, log } = this.#options
    const nowMs = clock.monotonic()
    if (nowMs - this.#saidMs < SAY_AGAIN_MS) return
    log.warn(
      { refused: this.#refused, inFlight: most },
      'Requests are refused: too many are in flight (web.maxRequests).',
    )
    this.#saidMs = nowMs
    this.#refused = 0
  }
}
