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
 * Rows, or bytes, gathered for all followers before some are written. Large, for a store on disk writes most pages of a
 * partition anew in each commit (1 M rows in one partition: 150k rows/s by 50,000, 190k by 100,000), but a bound for
 * memory. The partition with the most bytes goes first: many partitions at once need smaller commits, since each is small.
 */
const GATHERED_ROWS = 100_000
const GATHERED_BYTES = 32 * 1024 * 1024
/** The longest time that rows gathered for copies wait to be written. */
const WRITE_MS = 250

interface Followed {
  readonly follower: ChangelogFollower
  readonly ended: Deferred<void>
}

/** Reads changelogs for many followers through one reader, made when the first comes, and writes what they gather. */
export class ChangelogReader {
  readonly #environment: RestoreEnvironment
  readonly #onWritten: (followers: readonly ChangelogFollower[]) => void
  readonly #followed = new Map<string, Followed>()
  #reader: Reader | undefined
  #timer: Scheduled | undefined
  #writing: Promise<void> = Promise.resolve()
  #closed = false

  constructor(environment: RestoreEnvironment, onWritten: (followers: readonly ChangelogFollower[]) => void) {
    this.#environment = environment
    this.#onWritten = onWritten
  }

  /** Beginnings and ends of what can be read now. */
  offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]> {
    return this.#open().offsets(partitions)
  }

  /**
   * Reads for a follower that has begun. Resolves when the store has everything up to the end, for a copy never. Rejects
   * when its signal aborts, when changelogs cannot be read or the store not be written: then it has to begin again.
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

  /** Writes what a follower has gathered, or all of them, in one commit; one commit at a time. */
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
      // A follower may begin again only when nothing of it is on its way into the store.
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

  async #beginAnew(followed: Followed): Promise<void> {
    const { follower } = followed
    const key = partitionKey(follower.changelog)
    await this.#writing
    if (this.#followed.get(key) !== followed) return
    await follower.beginAnew()
    // It may have been given up meanwhile; what still comes from the earlier place does not follow, and is passed over.
    if (this.#followed.get(key) === followed) this.#reader?.assign(follower.changelog, follower.position)
  }

  #onTimer(): void {
    this.#timer = undefined
    void this.write()
  }

  /** The one that has gathered most, when there is too much in all. */
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
      // The rows taken are lost. No later rows may be written with a checkpoint that counts them.
      for (const follower of followers) follower.forget()
      const error = toError(thrown)
      this.#break(error)
      fail(error)
    }
  }

  /** All that are followed have to begin again, through another reader. */
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

  /** False when it had left already. */
  #leave(followed: Followed): boolean {
    const { changelog } = followed.follower
    const key = partitionKey(changelog)
    if (this.#followed.get(key) !== followed) return false
    this.#followed.delete(key)
    this.#reader?.unassign(changelog)
    return true
  }
}
