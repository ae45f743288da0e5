import type { Clock, Logger } from '@millrace/core'
import { PageError } from '../pages/page-error.ts'
import type { Page } from './page-registry.ts'

/** A line of the log says at most so often that requests are refused. */
const SAY_AGAIN_MS = 10_000

export interface EntranceOptions {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly log: Pick<Logger, 'warn'>
  /** Requests at the same time. */
  readonly most: () => number
  /** All pages, or those of the app and health. */
  readonly pages: 'all' | 'public'
}

/** The request was refused because too many are in flight; that is in the log. */
export class Overloaded extends PageError {
  override readonly name: string = 'Overloaded'

  constructor(most: number) {
    super(503, `${most} requests are in flight already (web.maxRequests).`, { headers: { 'retry-after': '1' } })
  }
}

/** Where requests come into a site, a listener of its own: which pages it has, how many requests are in flight there, and how many may be. */
export class Entrance {
  readonly #options: EntranceOptions
  #inFlight = 0
  /** Since the last line of the log. */
  #refused = 0
  #saidMs = -Infinity

  constructor(options: EntranceOptions) {
    this.#options = options
  }

  has({ builtIn, everywhere }: Pick<Page, 'builtIn' | 'everywhere'>): boolean {
    return this.#options.pages === 'all' || !builtIn || everywhere
  }

  /** A request begins, which `left` ends. Throws `Overloaded`. */
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
