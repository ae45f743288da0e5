import type { RecordBatch, Row, StorePartition, TaskPart, TopicPartition } from '@millrace/core'

/** A part of a task that is kept warm here. */
export interface CopyPlace {
  /** Id of the task. */
  readonly task: string
  readonly part: TaskPart
  readonly partition: number
}

/** One part of one task on its way to being, and staying, as its owner has it. */
export class StandbyCopy {
  readonly place: CopyPlace
  readonly task: string
  readonly changelog: TopicPartition
  readonly stopping: AbortController = new AbortController()
  store: StorePartition | undefined
  /** Counts the times that reading has begun: of two that overlap the later one counts. */
  turn = 0
  #range: { readonly position: number; readonly end: number } | undefined
  #rows: Row[] = []
  #bytes = 0

  constructor(place: CopyPlace) {
    this.place = place
    this.task = place.task
    this.changelog = { topic: place.part.changelog.topic, partition: place.partition }
  }

  /** How much of the changelog is in the store. */
  get absorbed(): number {
    return this.store?.checkpoint()?.offset ?? 0
  }

  /** Next changelog offset to read; `undefined` while that is being found out. */
  get position(): number | undefined {
    return this.#range?.position
  }

  get rows(): number {
    return this.#rows.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Changelog offsets that are not in the store; `Infinity` while the end is not known. */
  get lag(): number {
    if (this.#range === undefined) return Infinity
    const { position, end } = this.#range
    return Math.max(0, end - (this.#rows.length === 0 ? position : this.absorbed))
  }

  /** Forgets what has been gathered: it must not be written over what is read from now on. */
  begin(): number {
    this.#range = undefined
    this.take()
    return ++this.turn
  }

  follow(from: number, end: number): void {
    this.#range = { position: from, end }
  }

  /** False when it has been read already. */
  absorb(batch: RecordBatch): boolean {
    if (this.#range === undefined || batch.nextOffset <= this.#range.position) return false
    for (const { key, value } of batch.records) if (key !== null) this.#rows.push({ key, value })
    this.#bytes += batch.bytes
    this.#range = { position: batch.nextOffset, end: batch.endOffset }
    return true
  }

  /** What has been gathered, to be written. */
  take(): readonly Row[] {
    const rows = this.#rows
    this.#rows = []
    this.#bytes = 0
    return rows
  }
}
