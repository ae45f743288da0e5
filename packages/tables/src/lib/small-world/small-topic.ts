import { deferred, type PartitionOffsets, type RawRecord, type Reader, type RecordBatch, type RecordMetadata, type SendReceipt, type SendRequest, type TopicPartition } from '@millrace/core'

/** One topic and its reader, for tests of this package: the test decides when a send is acknowledged and when it is read. */
export class SmallTopic implements Reader {
  readonly topic: string
  readonly log: RawRecord[][]
  readonly #assigned = new Map<number, number>()
  readonly #receipts = new Map<SendReceipt, { readonly request: SendRequest; readonly done: ReturnType<typeof deferred<RecordMetadata>> }>()
  #closed = false
  #wake = deferred<void>()

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

  /** Stores what was sent and tells its offset. */
  async acknowledge(receipt: SendReceipt): Promise<void> {
    const sent = this.#receipts.get(receipt)
    if (sent === undefined) throw new Error('It was not sent here.')
    const partition = sent.request.partition ?? 0
    const records = this.log[partition]
    if (records === undefined) throw new Error(`There is no partition ${partition}.`)
    const { key, value, headers, timestamp } = sent.request
    const offset = records.length
    records.push({ offset, timestamp, key, value, headers })
    sent.done.resolve({ topic: this.topic, partition, offset, timestamp })
    await turn()
  }

  async refuse(receipt: SendReceipt): Promise<void> {
    this.#receipts.get(receipt)?.done.reject(new Error('refused'))
    await turn()
  }

  /** Lets the reader read to the end, and whoever reads it take that in. */
  async deliver(): Promise<void> {
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
        if (offset >= all.length) continue
        this.#assigned.set(partition, all.length)
        yield { topic: this.topic, partition, records: all.slice(offset), nextOffset: all.length, endOffset: all.length, bytes: 0 }
      }
      if (!this.#closed) await this.#wake.promise
    }
  }

  async offsets(partitions: readonly TopicPartition[]): Promise<readonly PartitionOffsets[]> {
    return partitions.map(({ topic, partition }) => ({ topic, partition, beginning: 0, end: this.log[partition]?.length ?? 0 }))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#wake.resolve()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
