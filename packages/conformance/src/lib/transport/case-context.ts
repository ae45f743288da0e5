import { randomUUID } from 'node:crypto'
import { NO_HEADERS, type OutgoingRecord, partitionsOf, type RawRecord } from '@millrace/core'
import type { Admin, Isolation, Producer, SendOutcome, TransactionalProducer, Transport } from '@millrace/core/driver'
import { within } from '../eventually.ts'
import { TestMember, type TestMemberOptions } from './test-member.ts'
import type { TransportAccidents, TransportEnvironment } from './transport-environment.ts'

/** One case of the suite. */
export type TransportCase = (context: CaseContext) => Promise<void>

/** For sends with a guard that never objects. */
export const OPEN_GUARD = { guard: (): void => {} }

/** The tools of a case: fresh topics and groups, and clients that are closed when the case is over. */
export class CaseContext {
  readonly sessionTimeoutMs: number
  readonly manyRecords: number
  readonly #environment: TransportEnvironment
  readonly #run = randomUUID().slice(0, 8)
  readonly #transports: Transport[] = []
  #names = 0
  #common: Promise<Transport> | undefined

  constructor(environment: TransportEnvironment) {
    this.#environment = environment
    this.sessionTimeoutMs = environment.sessionTimeoutMs ?? 6000
    this.manyRecords = environment.manyRecords ?? 20_000
  }

  /** A new name. */
  name(kind: string): string {
    return `conformance-${kind}-${this.#run}-${++this.#names}`
  }

  /** The case's own transport, connected. */
  transport(): Promise<Transport> {
    return (this.#common ??= this.another())
  }

  /** One more transport, connected. */
  async another(): Promise<Transport> {
    const transport = await this.unconnected()
    await transport.connect({ timeoutMs: 10_000 })
    return transport
  }

  /** One more transport, not connected. */
  async unconnected(): Promise<Transport> {
    const transport = await this.#environment.create()
    this.#transports.push(transport)
    return transport
  }

  async admin(): Promise<Admin> {
    return (await this.transport()).admin()
  }

  async producer(): Promise<Producer> {
    return (await this.transport()).producer()
  }

  /** An initialised transactional producer, with a new id unless one is given. */
  async transactional(id: string = this.name('transaction')): Promise<TransactionalProducer> {
    const producer = (await this.transport()).transactionalProducer({ id, timeoutMs: 20_000 })
    await producer.init()
    return producer
  }

  async topic(partitions: number, config: Readonly<Record<string, string>> = {}): Promise<string> {
    const name = this.name('topic')
    // Records of the suite have old timestamps, which a broker that looks for expired records would delete.
    const kept = { 'retention.ms': '-1', ...config }
    await (await this.admin()).createTopics([{ name, partitions, replicationFactor: -1, config: kept }])
    return name
  }

  member(transport: Transport, options: Omit<TestMemberOptions, 'sessionTimeoutMs'>): TestMember {
    return new TestMember(transport, { sessionTimeoutMs: this.sessionTimeoutMs, ...options })
  }

  async send(...records: readonly OutgoingRecord[]): Promise<readonly SendOutcome[]> {
    return (await this.producer()).send(records, OPEN_GUARD)
  }

  /** Records of each partition from its beginning to its present end. */
  async readAll(
    topic: string,
    partitions: number,
    isolation: Isolation = 'read-committed',
  ): Promise<readonly (readonly RawRecord[])[]> {
    const reader = (await this.transport()).reader({ isolation })
    const refs = partitionsOf(topic, partitions)
    const open = new Map<number, number>()
    const next = new Map<number, number>()
    for (const { partition, beginning, end } of await reader.offsets(refs)) {
      if (beginning < end) open.set(partition, end)
      next.set(partition, beginning)
      if (beginning < end) reader.assign({ topic, partition }, beginning)
    }
    const records = refs.map((): RawRecord[] => [])
    const batches = reader.batches()[Symbol.asyncIterator]()
    while (open.size > 0) {
      const { value, done } = await within(batches.next(), {
        what: `partitions ${[...open.keys()].join(', ')} of "${topic}" to end`,
      })
      if (done === true) break
      if (value.position !== next.get(value.partition))
        throw new Error(
          `A batch of "${topic}" partition ${value.partition} begins at ${value.position}, not at ${next.get(value.partition)}.`,
        )
      next.set(value.partition, value.nextOffset)
      records[value.partition]?.push(...value.records)
      if (value.nextOffset >= (open.get(value.partition) ?? Infinity)) open.delete(value.partition)
    }
    await reader.close()
    return records
  }

  async kill(transport: Transport): Promise<void> {
    await this.#accident('kill')(transport)
  }

  async expire(transport: Transport): Promise<void> {
    await this.#accident('expire')(transport)
  }

  deafen(transport: Transport): () => void {
    return this.#accident('deafen')(transport)
  }

  async compact(topic: string): Promise<void> {
    await this.#accident('compact')(topic)
  }

  async close(): Promise<void> {
    await Promise.all(this.#transports.map((transport) => transport.close()))
  }

  #accident<K extends keyof TransportAccidents>(name: K): NonNullable<TransportAccidents[K]> {
    const accident = this.#environment.accidents?.[name]
    if (accident === undefined)
      throw new Error(`This case needs accidents.${name}: provide it, or give the reason in skip.`)
    return accident
  }
}

/** A record with a text value and no key. */
export function text(topic: string, partition: number, value: string): OutgoingRecord {
  return { topic, partition, key: null, value: Buffer.from(value), headers: NO_HEADERS, timestamp: 1_700_000_000_000 }
}

/** Values of records as text; a tombstone is `undefined`. */
export function texts(
  records: readonly { readonly value: Buffer | null }[] | undefined,
): readonly (string | undefined)[] {
  return (records ?? []).map(({ value }) => value?.toString())
}

/** `count` numbers from `from` on. */
export function numbers(count: number, from: number = 0): readonly number[] {
  return Array.from({ length: count }, (_, index) => from + index)
}
