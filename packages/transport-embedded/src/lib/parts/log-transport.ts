import type {
  Admin,
  Consumer,
  ConsumerOptions,
  Isolation,
  Producer,
  Reader,
  TransactionalProducer,
  Transport,
  TransportCapabilities,
} from '@millrace/core'
import { LogAdmin } from './log-admin.ts'
import { LogConsumer } from './log-consumer.ts'
import { LogProducer } from './log-producer.ts'
import { LogReader } from './log-reader.ts'
import { LogTransactionalProducer } from './log-transactional-producer.ts'
import type { OpenStateOptions } from './part-context.ts'

interface Part {
  close(): Promise<void>
  kill(): void
}

/** A transport on a local log: hands out parts and closes those still open. */
export class LogTransport implements Transport {
  readonly capabilities: TransportCapabilities
  readonly #context: OpenStateOptions
  readonly #parts: Set<Part> = new Set()

  constructor(capabilities: TransportCapabilities, context: Omit<OpenStateOptions, 'ended'>) {
    this.capabilities = Object.freeze({ ...capabilities })
    this.#context = { ...context, ended: (part) => this.#forget(part) }
  }

  connect(options: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<void> {
    return this.#context.lifespan.run(async () => options.signal?.throwIfAborted())
  }

  consumer(options: ConsumerOptions): Consumer {
    return this.#keep(new LogConsumer(options, this.#context))
  }

  producer(): Producer {
    return this.#keep(new LogProducer(this.#context))
  }

  transactionalProducer(options: { readonly id: string; readonly timeoutMs: number }): TransactionalProducer {
    return this.#keep(new LogTransactionalProducer(options.id, this.#context))
  }

  reader(_options: { readonly isolation: Isolation }): Reader {
    return this.#keep(new LogReader(this.#context))
  }

  admin(): Admin {
    return this.#keep(new LogAdmin(this.#context))
  }

  async close(): Promise<void> {
    const { lifespan } = this.#context
    if (lifespan.killed) return
    await Promise.all([...this.#parts].map((part) => part.close()))
    lifespan.close()
  }

  /** Everything of this transport stops at once, without a word. */
  kill(): void {
    this.#context.lifespan.kill()
    for (const part of this.#parts) part.kill()
    this.#parts.clear()
  }

  #forget(ended: object): void {
    for (const part of this.#parts) if (part === ended) this.#parts.delete(part)
  }

  #keep<P extends Part>(part: P): P {
    if (this.#context.lifespan.closed) throw this.#context.lifespan.closedError()
    this.#parts.add(part)
    return part
  }
}
