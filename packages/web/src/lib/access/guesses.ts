import { createHash, randomBytes } from 'node:crypto'
import { PageError } from '../pages/page-error.ts'
import type { SiteApp } from '../site-app.ts'
import { clientNetwork } from './ip-address.ts'

/**
 * Wrong tokens allowed per address and minute, including tokens still being sent. After that, no token from the address
 * is checked until enough of them are a minute old.
 */
const MOST = 10
/**
 * Wrong tokens allowed per minute from all addresses together. Above that, each address may still be wrong once, so
 * others never lock out an address that was not wrong.
 */
const MOST_OF_ALL = 100
const MOST_UNDER_ATTACK = 1
const WINDOW_MS = 60_000
/** Addresses remembered. When full, the address whose last wrong token is oldest is forgotten. */
const MOST_CLIENTS = 10_000
/** Sign-in forms being received at once, from all addresses. */
const MOST_FORMS = 100
/** How often the log reports the number of attempts when it does not list each one. */
const SAY_AGAIN_MS = 10_000

interface Guesser {
  /** When each wrong token was last sent, by digest: resending the same token tells its sender nothing new. */
  readonly wrong: Map<string, number>
  forms: number
}

/** How the token was sent. */
export type GuessWay = 'bearer' | 'form'

/**
 * Counts wrong tokens by source address, from the form or as bearer tokens, and stops checking tokens from an address
 * that guesses. Requests with a session are not counted.
 */
export class Guesses {
  readonly #site: Pick<SiteApp, 'surroundings'>
  readonly #salt = randomBytes(16)
  /** Ordered by the last wrong token, most recent last. */
  readonly #clients = new Map<string, Guesser>()
  /** When the last `MOST_OF_ALL` wrong tokens came in. */
  readonly #lastMs: number[] = []
  #forms = 0
  /** Attempts since the last log line. */
  #untold = 0
  #saidMs = -Infinity

  constructor(site: Pick<SiteApp, 'surroundings'>) {
    this.#site = site
  }

  /** Throws a `PageError` 429 if no token from this address is checked for now, right or wrong. */
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
   * Counts a form as a wrong token from its first byte until the returned function is called. Throws a `PageError`: 429
   * as `check`, 503 while too many forms are being received.
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

  /** Counts a wrong token and logs it, once for each token that an address sends. */
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

  /** Logging each attempt would let anyone with many addresses fill the disk. */
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

/** Callers without a known address count as one. */
function clientOf(peer: string | undefined): string {
  return peer === undefined ? '' : clientNetwork(peer)
}
