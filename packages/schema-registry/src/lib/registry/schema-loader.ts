import { backoffMs, type Clock, errorText, isMillraceError, type Logger, type MillraceError } from '@millrace/core'
import type { RegistryApi, Schema } from './schema.ts'

/** The waits before a registry that does not answer is asked again. */
const BACKOFF = { firstMs: 100, mostMs: 10_000 }
/** A registry of several nodes may answer from one that does not have the newest schema yet. */
const TRIES_OF_MISSING = 4
/** How long it is believed that there is no such schema. */
const BELIEVED_MS = 30_000
/** How often an outage is logged. */
const LOGGED_EVERY_MS = 60_000

export interface SchemaLoaderOptions {
  readonly clock: Clock
  readonly log: () => Logger
  readonly signal: AbortSignal
  /** Those that are here, by id. */
  readonly schemas: Map<number, Schema>
}

/** Loads schemas by id, each once, and waits out a registry that is away. */
export class SchemaLoader {
  readonly #api: RegistryApi
  readonly #clock: Clock
  readonly #log: () => Logger
  readonly #signal: AbortSignal
  readonly #schemas: Map<number, Schema>
  readonly #missing = new Map<number, { readonly error: MillraceError; readonly untilMs: number }>()
  readonly #loading = new Map<number, Promise<void>>()
  /** Since when the registry has not answered, and when that was last logged. */
  #away: { readonly sinceMs: number; loggedMs: number } | undefined

  constructor(api: RegistryApi, { clock, log, signal, schemas }: SchemaLoaderOptions) {
    this.#api = api
    this.#schemas = schemas
    this.#clock = clock
    this.#log = log
    this.#signal = signal
  }

  /** A schema that is here, or the error that says why there is none; `undefined` if it must be loaded. */
  known(id: number): Schema | MillraceError | undefined {
    const schema = this.#schemas.get(id)
    if (schema !== undefined) return schema
    const missing = this.#missing.get(id)
    if (missing === undefined || missing.untilMs < this.#clock.monotonic()) return undefined
    return missing.error
  }

  /** Resolves when `known` has an answer, or the signal aborts. The same promise for all who ask meanwhile. */
  load(id: number): Promise<void> {
    const loading = this.#loading.get(id)
    if (loading !== undefined) return loading
    const made = this.#load(id).finally(() => this.#loading.delete(id))
    this.#loading.set(id, made)
    return made
  }

  /**
   * Asks until the registry answers. Rejects with what it answers, and with the signal's reason; with
   * `SCHEMA_REGISTRY_REFUSED` only where `refusal` says so.
   */
  async persist<T>(ask: () => Promise<T>, refusal: 'throws' | 'waits'): Promise<T> {
    for (let failures = 1; ; failures++) {
      try {
        const answer = await ask()
        this.#answered()
        return answer
      } catch (error) {
        this.#signal.throwIfAborted()
        const isRefused = isMillraceError(error, 'SCHEMA_REGISTRY_REFUSED')
        if (!isMillraceError(error, 'SCHEMA_REGISTRY_UNREACHABLE') && !(isRefused && refusal === 'waits')) throw error
        this.#failed(error)
        await this.#clock.sleep(backoffMs(failures, BACKOFF, Math.random()), this.#signal)
      }
    }
  }

  async #load(id: number): Promise<void> {
    try {
      for (let tries = 1; ; tries++) {
        try {
          this.#schemas.set(id, await this.persist(() => this.#api.schema(id), 'waits'))
          return
        } catch (error) {
          if (!isMillraceError(error)) throw error
          if (tries === TRIES_OF_MISSING) {
            this.#missing.set(id, { error, untilMs: this.#clock.monotonic() + BELIEVED_MS })
            return
          }
          await this.#clock.sleep(backoffMs(tries, BACKOFF, 0), this.#signal)
        }
      }
    } catch (error) {
      // Nobody waits any more: only the signal ends the wait.
      if (!this.#signal.aborted) throw error
    }
  }

  #failed(error: MillraceError): void {
    const nowMs = this.#clock.monotonic()
    this.#away ??= { sinceMs: nowMs, loggedMs: -Infinity }
    if (nowMs - this.#away.loggedMs < LOGGED_EVERY_MS) return
    this.#away.loggedMs = nowMs
    this.#log().warn(
      { code: error.code, seconds: Math.round((nowMs - this.#away.sinceMs) / 1000) },
      `The schema registry does not answer (${errorText(error)}): records that need a schema wait until it does.`,
    )
  }

  #answered(): void {
    if (this.#away === undefined) return
    const seconds = (this.#clock.monotonic() - this.#away.sinceMs) / 1000
    this.#away = undefined
    this.#log().info({ seconds }, `The schema registry at ${this.#api.url} answers again.`)
  }
}
