import { MillraceError } from '@millrace/core'

/**
 * Whether a transport or one of its clients may still be used. `kill` is for tests: afterwards nothing happens any
 * more, as after kill -9, and neither calls under way nor new ones ever settle.
 */
export class Lifespan {
  readonly #name: string
  readonly #parent: Lifespan | undefined
  #closed = false
  #killed = false

  constructor(name: string, parent?: Lifespan) {
    this.#name = name
    this.#parent = parent
  }

  get closed(): boolean {
    return this.#closed || (this.#parent?.closed ?? false)
  }

  get killed(): boolean {
    return this.#killed || (this.#parent?.killed ?? false)
  }

  /** Returns true the first time: that caller does the closing. */
  close(): boolean {
    const first = !this.#closed
    this.#closed = true
    return first
  }

  kill(): void {
    this.#killed = true
  }

  closedError(): MillraceError {
    return new MillraceError('CLOSED', `The ${this.#name} is closed, or was not started.`)
  }

  /** Runs a call of the client: refused after `close`, never settled after `kill`. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.killed) return never()
    if (this.closed) throw this.closedError()
    try {
      const value = await call()
      return this.killed ? never() : value
    } catch (error) {
      if (this.killed) return never()
      throw error
    }
  }
}

/** The answer of a dead process. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => {})
}
