// The program's own time: this package runs outside an app, and has no clock to be handed.

/** Milliseconds since the epoch. */
export function now(): number {
  return Date.now()
}

/** Rejects with the signal's reason. */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason)
      return
    }
    const stop = (): void => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}

/** A limit to how long something takes. It has to be ended. */
export class TimeLimit {
  readonly #ms: number
  readonly #over = new AbortController()
  #timer: ReturnType<typeof setTimeout>

  constructor(ms: number) {
    this.#ms = ms
    this.#timer = this.#start()
  }

  /** Aborts when the time is over, and at the end. */
  get signal(): AbortSignal {
    return this.#over.signal
  }

  /** The time begins anew. */
  restart(): void {
    clearTimeout(this.#timer)
    this.#timer = this.#start()
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#over.abort()
  }

  #start(): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.#over.abort(), this.#ms)
  }
}

/** The signals that there are, as one. */
export function anyOf(one: AbortSignal, other: AbortSignal | undefined): AbortSignal {
  return other === undefined ? one : AbortSignal.any([one, other])
}
