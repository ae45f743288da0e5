import {
  deferred,
  type PartitionOffsets,
  type RawRecord,
  type Reader,
  type RecordBatch,
  type RecordMetadata,
  type SendReceipt,
  type SendRequest,
  type TopicPartition,
} from '@millrace/core'

/** One topic and its reader, for tests of this package: the test decides when a send is acknowledged and when it is read. */
export class SmallTopic implements Reader {
  readonly topic: string
  readonly log: RawRecord[][]
  readonly #assigned = new Map<number, number>()
  readonly #receipts = new Map<
    SendReceipt,
    { readonly request: SendRequest; readonly done: ReturnType<typeof deferred<RecordMetadata>> }
  >()
  #closed = false
  #wake = deferred<void>()
  #left = Infinity

  constructor(topic: string, partitions: number) {
    this.topic = topic
    this.log = Array.from({ length: partitions }, () => [])
  }

  append(partition: number, key: string | null, value: string | null): void {
    const records = this.log[partition]
    records?.push({
      offset: records.length,
      timestamp: 0,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(value),
      headers: [],
    })
  }

  /** A send that waits for `acknowledge` or `refuse`. */
  readonly send = (request: SendRequest): SendReceipt => {
    const done = deferred<RecordMetadata>()
    const receipt: SendReceipt = { metadata: () => done.promise }
    this.#receipts.set(receipt, { request, done })
    return receipt
  }

  /** Stores what was sent, where it can be read, before anybody is told. */
  store(receipt: SendReceipt): RecordMetadata {
    const sent = this.#receipts.get(receipt)
    if (sent === undefined) throw new Error('It was not sent here.')
    const partition = sent.request.partition ?? 0
    const records = this.log[partition]
    if (records === undefined) throw new Error(`There is no partition ${partition}.`)
    const { key, value, headers, timestamp } = sent.request
    const offset = records.length
    records.push({ offset, timestamp, key, value, headers })
    return { topic: this.topic, partition, offset, timestamp }
  }

  async acknowledge(receipt: SendReceipt, metadata: RecordMetadata = this.store(receipt)): Promise<void> {
    this.#receipts.get(receipt)?.done.resolve(metadata)
    await turn()
  }

  async refuse(receipt: SendReceipt): Promise<void> {
    this.#receipts.get(receipt)?.done.reject(new Error('refused'))
    await turn()
  }

  /** Lets the reader read so many records of each partition, and whoever reads it take that in. */
  async deliver(limit: number = Infinity): Promise<void> {
    this.#left = limit
    this.#wake.resolve()
    this.#wake = deferred<void>()
    await turn()
  }

  assign({ partition }: TopicPartition, offset: number): void {
    this.#assigned.set(partition, offset)
  }

  unassign({ partition }: TopicPartition): void {
    this.#assigned.delete(partition)
  }

  async *batches(): AsyncGenerator<RecordBatch> {
    while (!this.#closed) {
      for (const [partition, offset] of this.#assigned) {
        const all = this.log[partition] ?? []
        const records = all.slice(offset, offset + this.#left)
        if (records.length === 0) continue
        const nextOffset = offset + records.length
        this.#assigned.set(partition, nextOffset)
        yield { topic: this.topic, partition, position: offset, records, nextOffset, endOffset: all.length, bytes: 0 }
      }
      this.#left = 0
      if (!this.#closed) await this.#wake.promise
    }
  }

  async offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]> {
    return partitions.map(({ topic, partition }) => ({
      topic,
      partition,
      beginning: 0,
      end: this.log[partition]?.length ?? 0,
    }))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake.resolve()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
