import {
  deadLetterTopic,
  isMillraceError,
  MillraceError,
  NO_HEADERS,
  type OutgoingRecord,
  type RawHeaders,
  RecordRefusedError,
  type Tracing,
} from '@millrace/core'
import type { TopicDeclaration } from '@millrace/worker'
import type { AgentContext } from '../events/agent-context.ts'
import type { StreamEvent } from '../events/stream-event.ts'
import { waitingIn } from '../retries/waiting-event.ts'
import {
  describeError,
  type LetterFacts,
  readLetterHeaders,
  TEXT_LIMITS,
  type TextLimits,
  writeLetterHeaders,
} from './letter-headers.ts'

/** Long enough for somebody to look at it; the retention can be changed on the broker. */
const RETENTION_DAYS = 30

/** Settings at creation: as many partitions as the largest source, so that a letter keeps its record's partition. */
export function deadLetterDeclaration(appId: string, agent: string, sources: readonly string[]): TopicDeclaration {
  return {
    name: deadLetterTopic(appId, agent),
    partitions: undefined,
    sizedAs: sources,
    config: { 'cleanup.policy': 'delete', 'retention.ms': String(RETENTION_DAYS * 24 * 60 * 60 * 1000) },
    create: true,
    internal: true,
    keyCodec: undefined,
  }
}

/**
 * Sends an event, or each event of a batch, to its agent's dead letters as an effect of itself: to the same partition
 * number, with the record's bytes, headers and timestamp. A letter that is too large is shortened, the value first,
 * and marked as shortened.
 *
 * @throws `NO_CURRENT_EVENT` when the task was lost meanwhile; `RECORD_TOO_LARGE` where hardly anything may be sent
 */
export async function sendDeadLetters(
  event: StreamEvent,
  error: Error,
  { worker, agent, tracing }: AgentContext,
): Promise<void> {
  const letters = deadLetterTopic(worker.appId, agent)
  const partitions = await worker.partitions(letters)
  if (!event.open)
    throw new MillraceError(
      'NO_CURRENT_EVENT',
      `The event of agent "${agent}" was lost before its dead letter was sent.`,
    )
  const failure = { ...describeError(error, worker.redact), agent, failedAt: worker.clock.now() }
  for (const member of event.members) {
    const { id, partition, offset, timestamp } = member
    const refused = refusedLetter(member, letters)
    const attempts = member.inFlight.attempts + 1
    const { state: topic, kind: due } = member.origin.due ?? { state: member.topic, kind: '' }
    const first = firstFailure(member)
    const facts = { ...failure, ...refused, ...first, topic, due, partition, offset, timestamp, id, attempts }
    const sizes = refused === undefined ? SIZES : TRIMMED
    await sendOne(member, { facts, sizes, topic: letters, partition: partition % partitions, tracing })
  }
}

/** How much of its record a letter may contain. */
interface LetterSize {
  readonly texts: TextLimits
  /** Limit of the value. */
  readonly valueBytes: number
  /** Limit of the key and the record's own headers together. */
  readonly restBytes: number
}

const [LONG_TEXTS, SHORT_TEXTS] = TEXT_LIMITS
/** Limits after the broker refused the whole letter, because its own limit is not known here. */
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

/** The first failure of an event that has waited between its attempts. */
function firstFailure({
  event,
}: StreamEvent): Pick<LetterFacts, 'firstFailedAt' | 'firstCode' | 'firstClass' | 'firstMessage'> {
  const first = event === undefined ? undefined : waitingIn(event.record)?.waiting.failures?.[0]
  return {
    firstFailedAt: first === undefined ? '' : String(first.at),
    firstCode: first?.code ?? '',
    firstClass: first?.class ?? '',
    firstMessage: first?.message ?? '',
  }
}

/** The failure in the letter that the broker refused for its size; `undefined` if it refused none. */
function refusedLetter(
  { inFlight: { refused } }: StreamEvent,
  topic: string,
): ReturnType<typeof describeError> | undefined {
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
  readonly tracing: Tracing | undefined
}

/** Keeps as much as fits: an incomplete letter is better than a blocked worker. */
async function sendOne(event: StreamEvent, { facts, sizes, topic, partition, tracing }: LetterRequest): Promise<void> {
  // The letter's own trace follows its facts: the record came with trace headers of its own, and is replayed with
  // those.
  const trace = tracing?.sendStarted({ topic, partition, headers: NO_HEADERS, from: event.first.trace })
  let tooLarge: unknown
  for (const size of sizes) {
    const { key, value, own, trimmed } = trim(event, size)
    const headers = [...writeLetterHeaders(own, { ...facts, trimmed }, size.texts), ...(trace?.headers ?? NO_HEADERS)]
    try {
      await event.inFlight.send({ topic, partition, key, value, headers, timestamp: event.timestamp })
      trace?.end()
      return
    } catch (thrown) {
      if (!isMillraceError(thrown, 'RECORD_TOO_LARGE')) {
        trace?.end(thrown)
        throw thrown
      }
      tooLarge = thrown
    }
  }
  trace?.end(tooLarge)
  throw tooLarge
}

function trim(
  { inFlight, rawHeaders }: StreamEvent,
  { valueBytes, restBytes }: LetterSize,
): Pick<OutgoingRecord, 'key' | 'value'> & { readonly own: RawHeaders; readonly trimmed: string } {
  const { key, value } = inFlight.record
  const headerBytes = rawHeaders.reduce((sum, [name, text]) => sum + Buffer.byteLength(name) + (text?.length ?? 0), 0)
  const trimmed: string[] = []
  if ((value?.length ?? 0) > valueBytes) trimmed.push(`value of ${value?.length} bytes`)
  if ((key?.length ?? 0) > restBytes) trimmed.push(`key of ${key?.length} bytes`)
  if (headerBytes > restBytes) trimmed.push(`headers of ${headerBytes} bytes`)
  return {
    key: key?.subarray(0, restBytes) ?? null,
    value: value?.subarray(0, valueBytes) ?? null,
    own: headerBytes > restBytes ? NO_HEADERS : rawHeaders,
    trimmed: trimmed.join(', '),
  }
}
