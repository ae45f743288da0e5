import { deferred, type Deferred } from '@millrace/core'
import { ChangeSignal } from '../log/change-signal.ts'
import type { LogBackend, LogChanges, LogReads, LogWrites } from '../log/log-backend.ts'

/** A log as seen by one process, which may get no news of its groups for a while; its own writes still happen. */
export class HeardBackend implements LogBackend {
  readonly changes: LogChanges
  readonly #inner: LogBackend
  #deaf: Deferred<void> | undefined

  constructor(inner: LogBackend) {
    const { records, groups } = inner.changes
    this.changes = { records, groups: new HeardSignal(groups, () => this.#deaf === undefined) }
    this.#inner = inner
  }

  /** Withholds changes of groups and answers about them until the returned function is called. */
  deafen(): () => void {
    const deaf = (this.#deaf ??= deferred())
    return () => {
      if (this.#deaf !== deaf) return
      this.#deaf = undefined
      deaf.resolve()
      this.changes.groups.notify()
    }
  }

  read<T>(query: (log: LogReads) => T): T {
    return this.#inner.read(query)
  }

  write<T>(kind: keyof LogChanges | 'quiet', change: (log: LogWrites) => T): Promise<T> {
    const answer = this.#inner.write(kind, change)
    return this.#deaf === undefined || kind !== 'groups' ? answer : this.#afterHearing(answer)
  }

  async #afterHearing<T>(answer: Promise<T>): Promise<T> {
    const value = await answer
    await this.#deaf?.promise
    return value
  }
}

/** Forwards the changes of another signal, unless withheld; by itself it only signals the end of withholding. */
class HeardSignal extends ChangeSignal {
  readonly #inner: ChangeSignal
  readonly #isHeard: () => boolean

  constructor(inner: ChangeSignal, isHeard: () => boolean) {
    super()
    this.#inner = inner
    this.#isHeard = isHeard
  }

  override listen(listener: () => void): () => void {
    const end = super.listen(listener)
    const endInner = this.#inner.listen(() => {
      if (this.#isHeard()) listener()
    })
    return () => {
      end()
      endInner()
    }
  }
}
