import {
  isMillraceError,
  MillraceError,
  partitionKey,
  raceAbort,
  type RawHeaders,
  type RecordBatch,
  toError,
  withTimeout,
} from '@millrace/core'
import type { SendRequest } from '../contracts/event.ts'
import type { TopicDeclaration, WorkerContext } from '../contracts/worker-context.ts'
import type { WorkerEnvironment } from '../environment/worker-environment.ts'
import type { TaskSource } from '../task/source-offset.ts'

/** The sizes of one dead letter. Smaller ones are tried if the broker, or `maxRecordBytes`, refuses larger ones. */
const PIECE_BYTES = [512 * 1024, 64 * 1024, 8 * 1024] as const
/** How long storing a batch may take. Nothing else is fetched meanwhile, but the broker may be away for a while. */
const SEND_LIMIT_MS = 120_000
const RETENTION_DAYS = 30
const MESSAGE_LENGTH = 2000

/** The topic for unreadable bytes, with `onBatchError: 'deadLetter'`. */
export function brokenBatchesTopic(appId: string): string {
  return `${appId}-__broken-batches`
}

export function brokenBatchesDeclaration(appId: string): TopicDeclaration {
  return {
    name: brokenBatchesTopic(appId),
    partitions: 1,
    config: { 'cleanup.policy': 'delete', 'retention.ms': String(RETENTION_DAYS * 24 * 60 * 60 * 1000) },
    create: true,
    internal: true,
    keyCodec: undefined,
  }
}

/** Decides whether reading continues after a batch that the driver cannot decode (decisions/025-broken-batches.md). */
export class BrokenBatchHandler {
  readonly #environment: WorkerEnvironment
  readonly #context: Pick<WorkerContext, 'send' | 'signal'>
  #passed = 0

  constructor(environment: WorkerEnvironment, context: Pick<WorkerContext, 'send' | 'signal'>) {
    this.#environment = environment
    this.#context = context
  }

  /** How many batches were skipped. */
  get passed(): number {
    return this.#passed
  }

  /** Resolves when reading may continue after the batch. Throws the error that ends the worker. */
  async pass(batch: RecordBatch, { cursors }: TaskSource): Promise<void> {
    const { broken, position, nextOffset } = batch
    if (broken === undefined) return
    const { log, sensor, settings } = this.#environment
    const { onBatchError } = settings
    const at = { topic: batch.topic, partition: batch.partition, position, nextOffset, err: broken.error }
    const message = isMillraceError(broken.error) ? broken.error.detail : broken.error.message
    // Every agent has finished the batch according to the commit, which `millrace skip` may have written.
    if (cursors.every((cursor) => cursor.hasFinished(position, nextOffset))) {
      log.warn(at, `${message} It is skipped, because the group's commit marks it as finished.`)
      this.#passed++
      return
    }
    sensor.errorRaised({ source: partitionKey(batch), error: broken.error })
    if (onBatchError === 'stop') throw stopping(batch, message, broken.error)
    if (onBatchError === 'deadLetter') {
      const pieces = await this.#keep(batch, broken.data, broken.error)
      const where = brokenBatchesTopic(this.#environment.appId)
      log.error(at, `${message} Its ${broken.data.length} bytes went to ${where} in ${pieces} pieces (onBatchError).`)
    } else log.error(at, `${message} It is skipped (onBatchError).`)
    this.#passed++
  }

  /** Stores the bytes as dead letters, and returns their number. */
  async #keep(batch: RecordBatch, data: Buffer, error: Error): Promise<number> {
    let refusal: unknown
    for (const size of PIECE_BYTES) {
      try {
        const pieces = Math.max(Math.ceil(data.length / size), 1)
        for (let piece = 0; piece < pieces; piece++) {
          const value = data.subarray(piece * size, (piece + 1) * size)
          await this.#send(batch, { value, headers: this.#headers(batch, { piece, pieces, error }) })
        }
        return pieces
      } catch (thrown) {
        refusal = thrown
        if (!isMillraceError(thrown, 'RECORD_TOO_LARGE')) break
      }
    }
    this.#context.signal.throwIfAborted()
    const why = toError(refusal)
    const what = `${error.message} It cannot be kept in ${brokenBatchesTopic(this.#environment.appId)} (onBatchError): ${why.message}`
    throw stopping(batch, what, why)
  }

  async #send(batch: RecordBatch, { value, headers }: Pick<SendRequest, 'value' | 'headers'>): Promise<void> {
    const { appId, clock } = this.#environment
    const topic = brokenBatchesTopic(appId)
    const sending = this.#context.send({ topic, partition: 0, key: null, value, headers, timestamp: clock.now() })
    const limited = withTimeout(sending, SEND_LIMIT_MS, clock, () => {
      const what = `${topic} has not accepted the bytes of ${partitionKey(batch)} for ${SEND_LIMIT_MS / 1000} s.`
      return new MillraceError('TIMEOUT', what)
    })
    await raceAbort(limited, this.#context.signal)
  }

  /** The same header names as in the dead letters of agents, if they mean the same. */
  #headers(
    { topic, partition, position, nextOffset }: RecordBatch,
    { piece, pieces, error }: { readonly piece: number; readonly pieces: number; readonly error: Error },
  ): RawHeaders {
    const facts: Readonly<Record<string, string | number>> = {
      topic,
      partition,
      offset: position,
      'next-offset': nextOffset,
      piece: piece + 1,
      pieces,
      'failed-at': this.#environment.clock.now(),
      'error-code': isMillraceError(error) ? error.code : '',
      'error-message': error.message.slice(0, MESSAGE_LENGTH),
    }
    return Object.entries(facts).map(([name, fact]) => [`millrace-${name}`, Buffer.from(String(fact))] as const)
  }
}

function stopping({ topic, partition, nextOffset }: RecordBatch, what: string, error: Error): MillraceError {
  return new MillraceError(
    isMillraceError(error) ? error.code : 'DECODE_FAILED',
    `${what} To go on without it: stop all workers and run "millrace skip ${topic}/${partition}@${nextOffset - 1}", or set onBatchError to 'deadLetter' or 'skip'.`,
    { cause: error },
  )
}
