import {
  type Deferred,
  deferred,
  MillraceError,
  partitionKey,
  type RecordBatch,
  type Scheduled,
  toError,
  type TopicPartition,
} from '@millrace/core'
import type { PartitionOffsets, Reader } from '@millrace/core/driver'
import type { ChangelogFollower, RestoreEnvironment } from './changelog-follower.ts'

/**
 * How many rows, or bytes, are gathered for all followers before some are written. The number is large, because a store
 * on disk rewrites most pages of a partition in each commit (1 M rows in one partition: 150k rows/s by 50,000, 190k by
 * 100,000), but it bounds memory. The partition with the most bytes is written first. With many partitions each has
 * fewer rows, so commits are smaller.
 */
const GATHERED_ROWS = 100_000
const GATHERED_BYTES = 32 * 1024 * 1024
/** The longest time that gathered rows of copies wait to be written. */
const WRITE_MS = 250

interface FollowedPartition {
  readonly follower: ChangelogFollower
  readonly ended: Deferred<void>
}

/**
 * Reads changelogs for many followers through one reader, which is made when the first one comes, and writes the rows
 * that they gather.
 */
export class ChangelogReader {
  readonly #environment: RestoreEnvironment
  readonly #onWritten: (followers: readonly ChangelogFollower[]) => void
  readonly #followed = new Map<string, FollowedPartition>()
  #reader: Reader | undefined
  #timer: Scheduled | undefined
  #writing: Promise<void> = Promise.resolve()
  #closed = false

  constructor(environment: RestoreEnvironment, onWritten: (followers: readonly ChangelogFollower[]) => void) {
    this.#environment = environment
    this.#onWritten = onWritten
  }

  /** The current beginnings and ends of partitions. */
  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]> {
    return this.#open().offsets(partitions)
  }

  /**
   * Reads for a follower that has begun. Resolves when the store has everything up to the end; never for a copy.
   * Rejects if the follower's signal aborts, changelogs cannot be read, or the store cannot be written: the follower
   * then has to begin again.
   */
  async follow(follower: ChangelogFollower): Promise<void> {
    const { signal, changelog, role } = follower
    signal.throwIfAborted()
    if (role === 'task' && follower.remaining === 0) return
    const followed = { follower, ended: deferred<void>() }
    const abort = (): void => {
      this.#leave(followed)
      followed.ended.reject(signal.reason)
    }
    signal.addEventListener('abort', abort, { once: true })
    try {
      const reader = this.#open()
      this.#followed.set(partitionKey(changelog), followed)
      reader.assign(changelog, follower.position)
      await followed.ended.promise
    } finally {
      signal.removeEventListener('abort', abort)
      this.#leave(followed)
    }
  }

  /** Writes the gathered rows of one follower, or of all, in one commit; one commit at a time. */
  write(follower?: ChangelogFollower): Promise<void> {
    this.#writing = this.#writing.then(() =>
      this.#commit(follower === undefined ? [...this.#followed.values()].map((one) => one.follower) : [follower]),
    )
    return this.#writing
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#drop(new MillraceError('CLOSED', 'The worker has stopped.'))?.close()
  }

  #open(): Reader {
    if (this.#closed) throw new MillraceError('CLOSED', 'The worker has stopped.')
    if (this.#reader === undefined) {
      this.#reader = this.#environment.reader()
      void this.#read(this.#reader)
    }
    return this.#reader
  }

  async #read(reader: Reader): Promise<void> {
    try {
      for await (const batch of reader.batches()) await this.#take(batch)
    } catch (thrown) {
      // A follower may begin again only when none of its rows are being written.
      await this.#writing
      if (reader === this.#reader) this.#break(toError(thrown))
    }
  }

  async #take(batch: RecordBatch): Promise<void> {
    const followed = this.#followed.get(partitionKey(batch))
    if (followed === undefined) return
    const { follower, ended } = followed
    const absorbed = follower.absorb(batch)
    if (absorbed === 'anew') return this.#beginAnew(followed)
    if (!absorbed) return
    if (follower.isDue) {
      await this.write(follower)
      if (follower.role === 'task' && this.#leave(followed)) ended.resolve()
      return
    }
    if (follower.role === 'copy') this.#timer ??= this.#environment.clock.schedule(WRITE_MS, () => this.#onTimer())
    const full = this.#full()
    if (full !== undefined) await this.write(full)
  }

  async #beginAnew(followed: FollowedPartition): Promise<void> {
    const { follower } = followed
    const key = partitionKey(follower.changelog)
    await this.#writing
    if (this.#followed.get(key) !== followed) return
    await follower.beginAnew()
    // The follower may have been given up meanwhile. Batches that still come from the earlier position do not follow,
    // and are skipped.
    if (this.#followed.get(key) === followed) this.#reader?.assign(follower.changelog, follower.position)
  }

  #onTimer(): void {
    this.#timer = undefined
    void this.write()
  }

  /** The follower with the most gathered bytes, if there are too many altogether. */
  #full(): ChangelogFollower | undefined {
    let rows = 0
    let bytes = 0
    let largest: ChangelogFollower | undefined
    for (const { follower } of this.#followed.values()) {
      rows += follower.rows
      bytes += follower.bytes
      if (largest === undefined || follower.bytes > largest.bytes) largest = follower
    }
    return rows >= GATHERED_ROWS || bytes >= GATHERED_BYTES ? largest : undefined
  }

  async #commit(followers: readonly ChangelogFollower[]): Promise<void> {
    const { stores, fail } = this.#environment
    const changes = followers.flatMap((follower) => follower.take() ?? [])
    if (changes.length === 0) return
    try {
      await stores.commit(changes)
      this.#onWritten(followers)
    } catch (thrown) {
      // The taken rows are lost. No later rows may be written with a checkpoint that counts them.
      for (const follower of followers) follower.forget()
      const error = toError(thrown)
      this.#break(error)
      fail(error)
    }
  }

  /** Makes all followers begin again, through another reader. */
  #break(error: Error): void {
    const closing = this.#drop(error)?.close()
    closing?.catch((thrown: unknown) => {
      this.#environment.log.debug(
        { error: toError(thrown).message },
        'A reader of changelogs that had failed was not closed cleanly.',
      )
    })
  }

  #drop(error: Error): Reader | undefined {
    const reader = this.#reader
    this.#reader = undefined
    this.#timer?.cancel()
    this.#timer = undefined
    const followed = [...this.#followed.values()]
    this.#followed.clear()
    for (const { follower, ended } of followed) {
      follower.forget()
      ended.reject(error)
    }
    return reader
  }

  /** Returns false if it had left already. */
  #leave(followed: FollowedPartition): boolean {
    const { changelog } = followed.follower
    const key = partitionKey(changelog)
    if (this.#followed.get(key) !== followed) return false
    this.#followed.delete(key)
    this.#reader?.unassign(changelog)
    return true
  }
}
