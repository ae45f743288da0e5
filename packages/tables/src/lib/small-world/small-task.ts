import type {
  OpenState,
  SendReceipt,
  SendRequest,
  StoreDriver,
  StorePartition,
  Task,
  StateDefinition,
} from '@millrace/core'

export interface SmallTaskOptions {
  readonly store: StoreDriver
  readonly partition: number
  readonly partitions: number
  readonly cacheBytes: number
  readonly maxRowBytes?: number
  readonly freeze: boolean
}

interface Opened {
  readonly state: OpenState
  readonly stored: StorePartition
}

/** A task for tests of this package: opens states on a store and commits them. */
export class SmallTask implements Task {
  readonly id: string
  readonly partitions: number
  readonly partition: number
  /** Set to answer sends of this task's events. */
  sending: ((request: SendRequest) => SendReceipt) | undefined
  /** Of all parts, as they told it. */
  changedBytes = 0
  readonly #options: SmallTaskOptions
  readonly #parts = new Map<StateDefinition, Opened>()
  #settle: ((ok: boolean) => Promise<void>) | undefined

  constructor(options: SmallTaskOptions) {
    this.partition = options.partition
    this.partitions = options.partitions
    this.id = `${options.partitions}-${options.partition}`
    this.#options = options
  }

  async add(part: StateDefinition): Promise<void> {
    const stored = await this.#options.store.open(part.name, this.partition)
    this.#open(part, stored)
  }

  open(part: StateDefinition): OpenState | undefined {
    return this.#parts.get(part)?.state
  }

  get committing(): boolean {
    return this.#settle !== undefined
  }

  /** Takes rows; `endCommit` says how it went. */
  beginCommit(): void {
    const changes = [...this.#parts.values()].map(({ state, stored }) => ({
      state,
      partition: stored,
      rows: state.takeRows(),
      checkpoint: undefined,
    }))
    this.#settle = async (ok) => {
      if (ok) await this.#options.store.commit(changes)
      for (const { state } of changes) {
        if (ok) state.rowsStored()
        else state.rowsReturned()
      }
    }
  }

  async endCommit(ok: boolean): Promise<void> {
    const settle = this.#settle
    this.#settle = undefined
    await settle?.(ok)
  }

  /** As after a failed commit: state is dropped and opened again from the store. */
  reopen(): void {
    this.#settle = undefined
    for (const [part, { state, stored }] of this.#parts) {
      state.close()
      this.#open(part, stored)
    }
  }

  close(): void {
    for (const { state } of this.#parts.values()) state.close()
    this.#parts.clear()
  }

  #open(part: StateDefinition, stored: StorePartition): void {
    const { cacheBytes, maxRowBytes = 1_000_000, freeze } = this.#options
    const countChanged = (bytes: number): void => void (this.changedBytes += bytes)
    const context = { task: this, store: stored, cacheBytes, countChanged, maxRowBytes, freeze }
    this.#parts.set(part, { stored, state: part.openState(context) })
  }
}
