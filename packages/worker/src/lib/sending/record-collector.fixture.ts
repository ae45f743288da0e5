import {
  type Clock,
  type Deferred,
  deferred,
  MillraceError,
  type OutgoingRecord,
  systemClock,
  type TopicPartition,
} from '@millrace/core'
import type { Producer, SendOptions, SendOutcome } from '@millrace/core/driver'
import type { LeaseWaiter } from '../environment/lease.ts'
import { outgoing, silentLog } from '../fixtures/test-worker.fixture.ts'
import { Delays } from './delays.ts'
import type { Epoch } from './epoch.ts'
import { Outgoing } from './outgoing.ts'
import { RecordCollector } from './record-collector.ts'
import { SendBudget, type Sending } from './send-budget.ts'

export interface HandRequest {
  readonly records: readonly OutgoingRecord[]
  readonly broker: number
  readonly guard: () => void
  readonly onDelayed: SendOptions['onDelayed']
  readonly answer: Deferred<readonly SendOutcome[]>
  done: boolean
}

/** The records that have left a request because their partition accepts none at present. */
export interface HandDelay {
  readonly records: readonly OutgoingRecord[]
  readonly answer: Deferred<readonly SendOutcome[]>
}

/** A producer whose requests wait until they are answered by hand. */
export class HandProducer implements Producer {
  readonly requests: HandRequest[] = []
  /** Partitions that are not answered yet. */
  readonly delays: Set<HandDelay> = new Set()
  readonly counts: Map<string, Deferred<number>> = new Map()
  /** The topics whose partition counts were asked for. */
  readonly asked: string[] = []
  /** The broker of a partition, according to its current leader. */
  leaderOf: (partition: number) => number = (partition) => partition % 2
  #offset = 0

  topic(name: string): Deferred<number> {
    const known = this.counts.get(name) ?? deferred<number>()
    this.counts.set(name, known)
    return known
  }

  partitions(topic: string): Promise<number> {
    this.asked.push(topic)
    return this.topic(topic).promise
  }

  brokerOf({ partition }: TopicPartition): number {
    return this.leaderOf(partition)
  }

  async send(records: readonly OutgoingRecord[], { guard, onDelayed }: SendOptions): Promise<readonly SendOutcome[]> {
    guard()
    const request = {
      records: [...records],
      broker: this.leaderOf(records[0]?.partition ?? 0),
      guard,
      onDelayed,
      answer: deferred<readonly SendOutcome[]>(),
      done: false,
    }
    this.requests.push(request)
    return request.answer.promise
  }

  async close(): Promise<void> {}

  get open(): readonly HandRequest[] {
    return this.requests.filter(({ done }) => !done)
  }

  acknowledge(request: HandRequest | undefined): void {
    if (request === undefined) return
    request.done = true
    request.answer.resolve(request.records.map(() => ({ ok: true, offset: this.#offset++ })))
  }

  /** Acknowledges all records except those for these partitions. */
  delay(request: HandRequest | undefined, partitions: readonly number[]): void {
    if (request === undefined) return
    request.done = true
    for (const partition of partitions) {
      const records = request.records.filter((record) => record.partition === partition)
      const [record] = records
      if (record === undefined) continue
      const delay = { records, answer: deferred<readonly SendOutcome[]>() }
      this.delays.add(delay)
      request.onDelayed?.({ topic: record.topic, partition, reason: 'No leader.', outcomes: delay.answer.promise })
    }
    const outcomes: SendOutcome[] = []
    request.records.forEach((record, i) => {
      if (!partitions.includes(record.partition)) outcomes[i] = { ok: true, offset: this.#offset++ }
    })
    request.answer.resolve(outcomes)
  }

  heal(delay: HandDelay | undefined): void {
    if (delay === undefined) return
    this.delays.delete(delay)
    delay.answer.resolve(delay.records.map(() => ({ ok: true, offset: this.#offset++ })))
  }
}

/** A lease that a test can take away and give back. */
export class HandLease {
  valid = true
  readonly waiters: Set<LeaseWaiter> = new Set()

  checks = 0

  readonly check = (): void => {
    this.checks++
    if (!this.valid) throw new MillraceError('LEASE_EXPIRED', 'Gone.')
  }

  whenBack(waiter: LeaseWaiter): void {
    this.waiters.add(waiter)
  }

  back(): void {
    this.valid = true
    for (const waiter of this.waiters) waiter.leaseIsBack()
  }
}

/** A task that lists the partitions for which it waits. */
export class DelayedTask {
  readonly id: string
  delays = 0

  constructor(id: string) {
    this.id = id
  }

  delayed(): void {
    this.delays++
  }

  delayOver(): void {
    this.delays--
  }
}

/** A record collector and all that a test needs to know of it. */
export interface Made {
  readonly producer: HandProducer
  readonly collector: RecordCollector
  readonly budget: SendBudget
  readonly lease: HandLease
  readonly refused: Outgoing[]
  readonly delays: Delays
  /** What the sensor was told: the numbers of records and of their bytes, and how long it took. */
  readonly completed: (readonly [number, number, number])[]
}

export function make(
  broken: (collector: RecordCollector) => void = () => {},
  { maxBytes = 1_000_000, clock = systemClock() }: { readonly maxBytes?: number; readonly clock?: Clock } = {},
): Made {
  const producer = new HandProducer()
  const refused: Outgoing[] = []
  const completed: (readonly [number, number, number])[] = []
  const budget = new SendBudget(maxBytes, undefined)
  const lease = new HandLease()
  const delays = new Delays({ clock, log: silentLog, deliveryTimeoutMs: 60_000 })
  const sending: Sending = {
    clock,
    sensor: { sendCompleted: ({ records, bytes, durationMs }) => void completed.push([records, bytes, durationMs]) },
    lease,
    budget,
    delays,
    transactions: { aborted: 0 },
  }
  const collector: RecordCollector = new RecordCollector(producer, sending, {
    refused: (record) => void refused.push(record),
    broken: () => broken(collector),
  })
  return { producer, collector, budget, lease, refused, delays, completed }
}

export function add(
  collector: RecordCollector,
  partition: number | undefined,
  value: string,
  epoch?: Epoch,
  topic = 't',
): Outgoing {
  const record = new Outgoing({ ...outgoing(topic, 0, null, value), partition }, undefined)
  if (epoch !== undefined) {
    record.epoch = epoch
    epoch.added()
  }
  collector.add(record)
  return record
}

export async function turns(count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}
