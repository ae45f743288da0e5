import { type Deferred, deferred } from '@millrace/core'

/** The sends under way, by partition: those that share a partition wait for one another. */
export class PartitionTurns {
  /** The last send of each partition. */
  readonly #tails = new Map<string, Promise<void>>()

  /** Queues a send behind the last one of each of its partitions. */
  take(keys: readonly string[]): PartitionTurn {
    return new PartitionTurn(this.#tails, keys)
  }

  /** Resolves when no send is under way. */
  async over(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }
}

/** The turn of one send, from `take` to `end`. */
export class PartitionTurn {
  /** The sends that go first. */
  readonly earlier: readonly Promise<void>[]
  readonly #tails: Map<string, Promise<void>>
  readonly #keys: readonly string[]
  readonly #over: Deferred<void> = deferred<void>()

  constructor(tails: Map<string, Promise<void>>, keys: readonly string[]) {
    this.#tails = tails
    this.#keys = keys
    this.earlier = keys.flatMap((key) => tails.get(key) ?? [])
    for (const key of keys) tails.set(key, this.#over.promise)
  }

  /** Makes no later send wait for this one at these partitions. */
  leave(keys: readonly string[]): void {
    for (const key of keys) if (this.#tails.get(key) === this.#over.promise) this.#tails.delete(key)
  }

  /** Lets the sends behind this one begin. */
  end(): void {
    this.leave(this.#keys)
    this.#over.resolve()
  }
}
