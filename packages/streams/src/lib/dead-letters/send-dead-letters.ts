import {
  deadLetterTopic,
  isMillraceError,
  MillraceError,
  NO_HEADERS,
  type OutgoingRecord,
  type RawHeaders,
  RecordRefusedError,
  type WorkerContext,
} from '@millrace/core'
import type { Delivery } from '../events/delivery.ts'
import {
  describeError,
  type LetterFacts,
  readLetterHeaders,
  TEXT_LIMITS,
  type TextLimits,
  writeLetterHeaders,
} from './letter-headers.ts'

export interface DeadLetterSender {
  readonly worker: WorkerContext
  readonly agent: string
  readonly error: Error
}

/**
 * Sends an event, or each of a batch, to the dead letters of its agent, as an effect of itself: in the partition of its
 * record, with its bytes, headers and timestamp. What is too large for that is cut, and the letter says so: the value first.
 *
 * @throws `NO_CURRENT_EVENT` when the task was lost meanwhile; `RECORD_TOO_LARGE` where hardly anything may be sent
 */
export async function sendDeadLetters(first: Delivery, { worker, agent, error }: DeadLetterSender): Promise<void> {
  const topic = deadLetterTopic(worker.appId, agent)
  const partitions = await worker.partitions(topic)
  if (!first.open)
    throw new MillraceError(
      'NO_CURRENT_EVENT',
      `The event of agent "${agent}" was lost before its dead letter was sent.`,
    )
  const failure = { ...describeError(error), agent, failedAt: worker.clock.now() }
  for (const delivery of [first, ...first.joined]) {
    const { partition, offset, timestamp, attempts } = delivery
    const refused = refusedLetter(delivery, topic)
    const facts = {
      ...failure,
      ...refused,
      topic: delivery.topic,
      partition,
      offset,
      timestamp,
      attempts: attempts + 1,
    }
    const sizes = refused === undefined ? SIZES : TRIMMED
    await sendOne(delivery, { facts, sizes, topic, partition: partition % partitions })
  }
}

/** How much a letter may have of its record. */
interface LetterSize {
  readonly texts: TextLimits
  /** Of the value. */
  readonly valueBytes: number
  /** Of the key, and of the record's own headers together. */
  readonly restBytes: number
}

const [LONG_TEXTS, SHORT_TEXTS] = TEXT_LIMITS
/** Of what the broker has refused whole: its limit is not known here. */
const TRIMMED: readonly LetterSize[] = [
  { texts: SHORT_TEXTS, valueBytes: 16 * 1024, restBytes: 4096 },
  { texts: SHORT_TEXTS, valueBytes: 1024, restBytes: 512 },
]
const SIZES: readonly LetterSize[] = [
  { texts: LONG_TEXTS, valueBytes: Infinity, restBytes: Infinity },
  { texts: SHORT_TEXTS, valueBytes: Infinity, restBytes: Infinity },
  { texts: SHORT_TEXTS, valueBytes: 256 * 1024, restBytes: 64 * 1024 },
  ...TRIMMED,
]

/** What the letter said of the failure that the broker has refused whole for its size; `undefined` when it has refused none. */
function refusedLetter({ refused }: Delivery, topic: string): ReturnType<typeof describeError> | undefined {
  if (!(refused instanceof RecordRefusedError) || refused.topic !== topic || !refused.isTooLarge) return undefined
  const facts = readLetterHeaders(refused.headers)?.facts
  if (facts === undefined) return undefined
  return { code: facts.code, class: facts.class, message: facts.message, stack: facts.stack }
}

interface LetterRequest {
  readonly facts: Omit<LetterFacts, 'trimmed'>
  readonly sizes: readonly LetterSize[]
  readonly topic: string
  readonly partition: number
}

/** As much of it as fits: a letter without all of its record is better than a worker that cannot go on. */
async function sendOne(delivery: Delivery, { facts, sizes, topic, partition }: LetterRequest): Promise<void> {
  let tooLarge: unknown
  for (const size of sizes) {
    const { key, value, own, trimmed } = trim(delivery, size)
    const headers = writeLetterHeaders(own, { ...facts, trimmed }, size.texts)
    try {
      return await delivery.send({ topic, partition, key, value, headers, timestamp: delivery.timestamp })
    } catch (thrown) {
      if (!isMillraceError(thrown, 'RECORD_TOO_LARGE')) throw thrown
      tooLarge = thrown
    }
  }
  throw tooLarge
}

function trim(
  delivery: Delivery,
  { valueBytes, restBytes }: LetterSize,
): Pick<OutgoingRecord, 'key' | 'value'> & { readonly own: RawHeaders; readonly trimmed: string } {
  const { rawKey, rawHeaders } = delivery
  const original = delivery.original()
  const headerBytes = rawHeaders.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + (value?.length ?? 0), 0)
  const cut: string[] = []
  if ((original?.length ?? 0) > valueBytes) cut.push(`value of ${original?.length} bytes`)
  if ((rawKey?.length ?? 0) > restBytes) cut.push(`key of ${rawKey?.length} bytes`)
  if (headerBytes > restBytes) cut.push(`headers of ${headerBytes} bytes`)
  return {
    key: rawKey?.subarray(0, restBytes) ?? null,
    value: original?.subarray(0, valueBytes) ?? null,
    own: headerBytes > restBytes ? NO_HEADERS : rawHeaders,
    trimmed: cut.join(', '),
  }
}
