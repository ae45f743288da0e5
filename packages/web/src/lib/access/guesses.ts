import { createHash, randomBytes } from 'node:crypto'
import { PageError } from '../pages/page-error.ts'
import type { SiteApp } from '../site-app.ts'
import { clientNetwork } from './ip-address.ts'

/** Wrong tokens of one address in a minute, those that are being sent included; then it has none looked at until some are that old. */
const MOST = 10
/** Of all addresses; then each may be wrong once. An address that was not wrong is never kept out by others. */
const MOST_OF_ALL = 100
const MOST_UNDER_ATTACK = 1
const WINDOW_MS = 60_000
/** Addresses that are remembered: with more, the one is forgotten that was wrong longest ago. */
const MOST_CLIENTS = 10_000
/** Forms that are being sent, of all addresses. */
const MOST_FORMS = 100
/** How often the log says how many attempts there are, where it does not name each. */
const SAY_AGAIN_MS = 10_000

interface Guesser {
  /** When each wrong token came last, by its digest: one that is sent again tells its sender nothing new. */
  readonly wrong: Map<string, number>
  forms: number
}

/** How a token came. */
export type GuessWay = 'bearer' | 'form'

/**
 * Counts wrong tokens by the address that they come from, whether in the form or as bearer tokens, and keeps an address that
 * guesses from being told whether it is right. What has a session is not asked.
 */
export class Guesses {
  readonly #site: Pick<SiteApp, 'surroundings'>
  readonly #salt = randomBytes(16)
  /** The one that was wrong last comes last. */
  readonly #clients = new Map<string, Guesser>()
  /** When the last `MOST_OF_ALL` wrong tokens came. */
  readonly #lastMs: number[] = []
  #forms = 0
  /** Attempts since the last line of the log. */
  #untold = 0
  #saidMs = -Infinity

  constructor(site: Pick<SiteApp, 'surroundings'>) {
    this.#site = site
  }

  /** Throws a `PageError` 429 when no token of this address is looked at now, whether it is right or not. */
  check(peer: string | undefined): void {
    const client = this.#clients.get(clientOf(peer))
    if (client === undefined) return
    const nowMs = this.#site.surroundings.clock.monotonic()
    for (const [digest, atMs] of client.wrong) if (atMs < nowMs - WINDOW_MS) client.wrong.delete(digest)
    if (client.wrong.size + client.forms < (this.#isUnderAttack(nowMs) ? MOST_UNDER_ATTACK : MOST)) return
    this.#say(peer, nowMs)
    throw new PageError(429, 'Too many wrong tokens: try again in a minute.', { headers: { 'retry-after': '60' } })
  }

  /**
   * A form begins to come, and counts as wrong until the function returned is called. Throws a `PageError`: 429 as `check`,
   * 503 while too many are on their way.
   */
  formBegins(peer: string | undefined): () => void {
    this.check(peer)
    if (this.#forms >= MOST_FORMS)
      throw new PageError(503, `${MOST_FORMS} forms are being sent already.`, { headers: { 'retry-after': '1' } })
    const key = clientOf(peer)
    const client = this.#clientAt(key)
    this.#forms++
    client.forms++
    return () => {
      this.#forms--
      client.forms--
      if (client.forms === 0 && client.wrong.size === 0) this.#clients.delete(key)
    }
  }

  /** Counts a wrong token, and writes a line of the log, once for each that an address sends. */
  isWrong(peer: string | undefined, token: string, way: GuessWay): void {
    const { clock, log } = this.#site.surroundings
    const key = clientOf(peer)
    const client = this.#clientAt(key)
    const digest = createHash('sha256').update(this.#salt).update(token).digest('base64url')
    const nowMs = clock.monotonic()
    const isNew = !client.wrong.has(digest)
    client.wrong.set(digest, nowMs)
    this.#clients.delete(key)
    this.#clients.set(key, client)
    if (!isNew) return
    this.#lastMs.push(nowMs)
    if (this.#lastMs.length > MOST_OF_ALL) this.#lastMs.shift()
    if (this.#isUnderAttack(nowMs)) return this.#say(peer, nowMs)
    const what = way === 'form' ? 'tried to sign in with a wrong token' : 'asked for a page with a wrong token'
    log.warn({ peer }, `Somebody has ${what}.`)
  }

  #isUnderAttack(nowMs: number): boolean {
    return this.#lastMs.length === MOST_OF_ALL && (this.#lastMs[0] ?? 0) >= nowMs - WINDOW_MS
  }

  /** Not a line for each: whoever has many addresses could fill the disk. */
  #say(peer: string | undefined, nowMs: number): void {
    this.#untold++
    if (nowMs - this.#saidMs < SAY_AGAIN_MS) return
    const { log } = this.#site.surroundings
    log.warn({ peer, attempts: this.#untold }, 'Attempts to sign in are refused: too many were not right.')
    this.#saidMs = nowMs
    this.#untold = 0
  }

  #clientAt(key: string): Guesser {
    const known = this.#clients.get(key)
    if (known !== undefined) return known
    if (this.#clients.size >= MOST_CLIENTS)
      for (const [oldest, { forms }] of this.#clients)
        if (forms === 0) {
          this.#clients.delete(oldest)
          break
        }
    const client: Guesser = { wrong: new Map(), forms: 0 }
    this.#clients.set(key, client)
    return client
  }
}

/** Those of whom no address is known count as one. */
function clientOf(peer: string | undefined): string {
  return peer === undefined ? '' : clientNetwork(peer)
}
