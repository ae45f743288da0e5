import type {
  Admin,
  BrokerState,
  Consumer,
  ConsumerOptions,
  Isolation,
  Producer,
  Reader,
  TransactionalProducer,
  Transport,
  TransportCapabilities,
} from '@millrace/core/driver'
import { LogAdmin } from './log-admin.ts'
import { LogConsumer } from './log-consumer.ts'
import { LogProducer } from './log-producer.ts'
import { LogReader } from './log-reader.ts'
import { LogTransactionalProducer } from './log-transactional-producer.ts'
import type { LogClient, LogClientContext } from '../log/client-context.ts'

/** A transport on a local log: makes clients and closes those still open. */
export class LogTransport implements Transport {
  readonly capabilities: TransportCapabilities
  readonly #context: LogClientContext
  readonly #clients: Set<LogClient> = new Set()

  constructor(capabilities: TransportCapabilities, context: Omit<LogClientContext, 'ended'>) {
    this.capabilities = Object.freeze({ ...capabilities })
    this.#context = { ...context, ended: (client) => void this.#clients.delete(client) }
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

  brokers(): readonly BrokerState[] {
    return []
  }

  async close(): Promise<void> {
    const { lifespan } = this.#context
    if (lifespan.killed) return
    await Promise.all([...this.#clients].map((client) => client.close()))
    lifespan.close()
  }

  /** Stops everything of this transport at once, without notice to any other process. */
  kill(): void {
    this.#context.lifespan.kill()
    for (const client of this.#clients) client.kill()
    this.#clients.clear()
  }

  #keep<C extends LogClient>(client: C): C {
    if (this.#context.lifespan.closed) throw this.#context.lifespan.closedError()
    this.#clients.add(client)
    return client
  }
}
