import { type OutgoingRecord, type TopicPartition, withinLimit } from '@millrace/core'
import type { Producer, SendOptions, SendOutcome } from '@millrace/core/driver'
import { applyAppend, missing, planAppend } from '../log/plan-append.ts'
import { Lifespan } from '../log/lifespan.ts'
import type { LogClientContext } from '../log/client-context.ts'

const CLOSE_LIMIT_MS = 5000

/** Appends to a local log at once. */
export class LogProducer implements Producer {
  readonly #context: LogClientContext
  readonly #lifespan: Lifespan
  readonly #inFlight = new Set<Promise<unknown>>()

  constructor(context: LogClientContext) {
    this.#context = context
    this.#lifespan = new Lifespan('producer', context.lifespan)
  }

  partitions(topic: string): Promise<number> {
    return this.#lifespan.run(async () => partitionCount(this.#context, topic))
  }

  brokerOf(_partition: TopicPartition): number {
    return 0
  }

  send(records: readonly OutgoingRecord[], options: SendOptions): Promise<readonly SendOutcome[]> {
    return this.#lifespan.run(async () => {
      options.guard()
      const sent = this.#context.backend.write('records', (log) => {
        // Again, now that nobody else can write: the process may have been suspended while it waited for its turn, and what
        // another worker has written meanwhile must not get older rows on top.
        options.guard()
        return applyAppend(log, planAppend(log, records))
      })
      this.#inFlight.add(sent)
      try {
        return await sent
      } finally {
        this.#inFlight.delete(sent)
      }
    })
  }

  async close(): Promise<void> {
    if (!this.#lifespan.close() || this.#lifespan.killed) return
    this.#context.ended(this)
    await withinLimit(this.#context.clock, CLOSE_LIMIT_MS, Promise.allSettled(this.#inFlight))
  }

  kill(): void {
    this.#lifespan.kill()
  }
}

/** Throws `TOPIC_MISSING`. */
export function partitionCount({ backend }: LogClientContext, name: string): number {
  const topic = backend.read((log) => log.topic(name))
  if (topic === undefined) throw missing(name)
  return topic.partitions
}
