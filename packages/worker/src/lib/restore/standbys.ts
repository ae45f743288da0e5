import { MillraceError, partitionKey, raceAbort, type Scheduled, toError } from '@millrace/core'
import type { Consumer } from '@millrace/core/driver'
import type { StateCopy } from '../contracts/worker-context.ts'
import { ChangelogFollower, type RestoreEnvironment, type TaskStateRef } from './changelog-follower.ts'
import { ChangelogReader } from './changelog-reader.ts'

/** The pause before a copy that could not be opened or read is tried again. */
const RETRY_MS = 2000
/**
 * How long a task whose copies have caught up waits for other tasks that come here, so that they move in one rebalance.
 */
const PATIENCE_MS = 10_000

/** A state of a task, of which this worker keeps a warm copy. */
export interface CopyRef extends TaskStateRef {
  /** Id of the task. */
  readonly task: string
}

interface WarmCopy {
  readonly ref: CopyRef
  readonly stopping: AbortController
  /** Set once its store is open. */
  follower: ChangelogFollower | undefined
}

/**
 * Warm copies: the state of tasks that run elsewhere, read from their changelogs directly into the store. When such a
 * task comes here, the gathered rows of its copy are written and the store is handed over; recovery reads the rest. A
 * task may be assigned to come here once copies exist (a warm-up): then this class asks the group for the rebalance in
 * which it moves.
 */
export class Standbys {
  readonly #environment: RestoreEnvironment
  readonly #group: Pick<Consumer, 'rejoin'>
  readonly #acceptableLag: number
  readonly #reader: ChangelogReader
  /** Copies by table and partition. */
  readonly #copies = new Map<string, WarmCopy>()
  /** All copies, including those that are being closed. */
  readonly #kept = new Map<WarmCopy, Promise<void>>()
  /** Ids of tasks that are to come here. */
  #expected: readonly string[] = []
  /** Copies whose catching up the group's leader knows of. */
  #known: ReadonlySet<string> = new Set()
  #hasAsked = false
  #patience: Scheduled | undefined
  #warnedMs = -Infinity
  #closed = false

  /** `acceptableLag`: how many changelog offsets the copies of a task may lack and still count as caught up. */
  constructor(environment: RestoreEnvironment, group: Pick<Consumer, 'rejoin'>, acceptableLag: number) {
    this.#environment = environment
    this.#group = group
    this.#acceptableLag = acceptableLag
    this.#reader = new ChangelogReader(environment, () => this.#checkCaughtUp())
  }

  /**
   * Ids of tasks whose copies here have been at the end of their changelogs, or almost, since reading began. A busy
   * task is ahead of its copies again after each commit, and they follow.
   */
  get caughtUp(): ReadonlySet<string> {
    const copies = [...this.#copies.values()]
    const behind = new Set(copies.flatMap(({ follower, ref }) => (follower?.caughtUp === true ? [] : [ref.task])))
    return new Set(copies.flatMap(({ ref }) => (behind.has(ref.task) ? [] : [ref.task])))
  }

  /** How many tasks are to come here and have not arrived. */
  get waiting(): number {
    return this.#expected.length
  }

  /** The copies of a table, for statistics. */
  of(table: string): readonly { readonly partition: number; readonly rows: number; readonly lag: number }[] {
    return [...this.#copies.values()].flatMap(({ ref, follower }) =>
      ref.definition.name === table && follower !== undefined && follower.lag < Infinity
        ? [{ partition: ref.partition, rows: follower.store.rows, lag: follower.lag }]
        : [],
    )
  }

  /** The copy of a partition of a table, once it has been read from its changelog. */
  copyOf(table: string, partition: number): StateCopy | undefined {
    for (const { ref, follower } of this.#copies.values())
      if (ref.partition === partition && ref.definition.name === table)
        return follower === undefined || follower.lag === Infinity
          ? undefined
          : { rows: follower.store, lag: follower.lag }
    return undefined
  }

  /** Keeps exactly these copies from now on. */
  assign(refs: readonly CopyRef[]): void {
    const wanted = new Map(refs.map((ref) => [keyOf(ref), ref]))
    for (const [key, copy] of this.#copies) {
      if (wanted.has(key)) continue
      this.#copies.delete(key)
      copy.stopping.abort()
    }
    for (const [key, ref] of wanted) {
      if (this.#copies.has(key) || this.#closed) continue
      const copy: WarmCopy = { ref, stopping: new AbortController(), follower: undefined }
      this.#copies.set(key, copy)
      this.#kept.set(
        copy,
        this.#keep(copy).then(() => void this.#kept.delete(copy)),
      )
    }
  }

  /** The tasks that have caught up, for a join. The leader is then not asked about them again. */
  report(): readonly string[] {
    this.#known = this.caughtUp
    return [...this.#known]
  }

  /** Sets the tasks that are to come here once their copies have caught up. */
  expect(tasks: readonly string[]): void {
    this.#expected = tasks
    this.#hasAsked = false
    this.#stopWaiting()
    this.#askWhenReady()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stopWaiting()
    this.assign([])
    // A copy that still waits for its store closes it as soon as it gets it.
    await Promise.all([...this.#kept].flatMap(([{ follower }, kept]) => (follower === undefined ? [] : [kept])))
    await this.#reader.close()
  }

  /** Keeps a copy until it is no longer wanted. A failure to read it does not end the worker. */
  async #keep(copy: WarmCopy): Promise<void> {
    const { clock } = this.#environment
    const { signal } = copy.stopping
    while (!signal.aborted) {
      try {
        await this.#follow(copy)
      } catch (thrown) {
        if (signal.aborted) break
        this.#warn(copy, toError(thrown))
        await clock.sleep(RETRY_MS, signal).catch(() => {})
      }
    }
    if (copy.follower !== undefined) await this.#close(copy.follower)
  }

  async #follow(copy: WarmCopy): Promise<void> {
    const { signal } = copy.stopping
    copy.follower ??= await ChangelogFollower.open(this.#environment, copy.ref, 'copy', signal)
    const { follower } = copy
    const { topic, partition } = follower.changelog
    const [bounds] = await raceAbort(this.#reader.offsets([follower.changelog]), signal)
    if (bounds === undefined)
      throw new MillraceError('CHANGELOG_MISSING', `The broker does not know partition ${partition} of ${topic}.`)
    await follower.begin(bounds)
    this.#checkCaughtUp()
    await this.#reader.follow(follower)
  }

  /** Writes the gathered rows, so that the next user of the store continues from there. */
  async #close(follower: ChangelogFollower): Promise<void> {
    const { table, partition } = follower.store
    try {
      await this.#reader.write(follower)
      await follower.close()
    } catch (thrown) {
      this.#environment.log.warn(
        { table, partition, error: toError(thrown).message },
        'A warm copy was not closed cleanly.',
      )
    }
  }

  /** A failure of one copy mostly concerns all of them, so only one logs it as a warning. */
  #warn({ ref: { definition, partition } }: WarmCopy, error: Error): void {
    const { clock, log } = this.#environment
    const isFirst = clock.monotonic() - this.#warnedMs >= RETRY_MS
    if (isFirst) this.#warnedMs = clock.monotonic()
    log[isFirst ? 'warn' : 'debug'](
      { table: definition.name, partition, error: error.message },
      `The warm copy of partition ${partition} of ${definition.name} cannot be read; it is tried again in ${RETRY_MS} ms.`,
    )
  }

  /** Notes the copies that have caught up. */
  #checkCaughtUp(): void {
    const lags = new Map<string, number>()
    for (const { ref, follower } of this.#copies.values())
      lags.set(ref.task, (lags.get(ref.task) ?? 0) + (follower?.lag ?? Infinity))
    let more = false
    for (const { ref, follower } of this.#copies.values()) {
      if (follower === undefined || follower.caughtUp || (lags.get(ref.task) ?? 0) > this.#acceptableLag) continue
      follower.caughtUp = true
      more = true
    }
    if (more) this.#askWhenReady()
  }

  /** Asks for a rebalance at once when all expected tasks have caught up, and after a while when some have. */
  #askWhenReady(): void {
    if (this.#hasAsked || this.#news().length === 0) return
    const { caughtUp } = this
    if (this.#expected.every((task) => caughtUp.has(task))) this.#ask()
    else this.#patience ??= this.#environment.clock.schedule(PATIENCE_MS, () => this.#ask())
  }

  /** If the leader leaves a task in place although it knows of its copies, asking again would change nothing. */
  #news(): readonly string[] {
    const { caughtUp } = this
    return this.#expected.filter((task) => caughtUp.has(task) && !this.#known.has(task))
  }

  #ask(): void {
    const tasks = this.#news()
    this.#stopWaiting()
    if (tasks.length === 0) return
    this.#hasAsked = true
    this.#environment.log.info(
      { tasks },
      'Warm copies here have caught up: the group is asked for a rebalance in which their tasks come here.',
    )
    this.#group.rejoin()
  }

  #stopWaiting(): void {
    this.#patience?.cancel()
    this.#patience = undefined
  }
}

function keyOf({ definition, partition }: CopyRef): string {
  return partitionKey({ topic: definition.changelog.topic, partition })
}
