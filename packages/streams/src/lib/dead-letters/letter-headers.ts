import { headerNamed, isMillraceError, type RawHeaders, type Redact, refuseNewer } from '@millrace/core'

/** Headers that follow the record's own headers in a dead letter. Text, UTF-8. */
export const letterHeaders = {
  /** The first of these headers: all earlier headers belong to the record. */
  agent: 'millrace-agent',
  topic: 'millrace-topic',
  partition: 'millrace-partition',
  offset: 'millrace-offset',
  /** The record's timestamp, which the letter also carries. */
  timestamp: 'millrace-timestamp',
  /** The event's id. Letters of earlier versions lack it. */
  id: 'millrace-event-id',
  attempts: 'millrace-attempts',
  failedAt: 'millrace-failed-at',
  code: 'millrace-error-code',
  class: 'millrace-error-class',
  message: 'millrace-error-message',
  stack: 'millrace-error-stack',
  /** The first failure of an event that has waited between its attempts; the others are of the last one. */
  firstFailedAt: 'millrace-first-failed-at',
  firstCode: 'millrace-first-error-code',
  firstClass: 'millrace-first-error-class',
  firstMessage: 'millrace-first-error-message',
  /** Only on a shortened letter: the original size in bytes of each shortened part. */
  trimmed: 'millrace-trimmed',
  /** Only on a letter of an event that was due in a state, whose name is then the topic: what it was, as `DueSource.kind`. */
  due: 'millrace-due',
  /** Format of these headers. Letters of earlier versions lack it and have format 1. */
  format: 'millrace-letter-format',
} as const

const FORMAT = 1

/** Character limits for texts of an error, so that a letter does not exceed the broker's record limit. */
export interface TextLimits {
  readonly message: number
  readonly stack: number
}

/** Limits of the first try, then limits for records that leave hardly any room. */
export const TEXT_LIMITS: readonly [TextLimits, TextLimits] = Object.freeze([
  { message: 4_000, stack: 8_000 },
  { message: 200, stack: 0 },
])

/** The facts in a letter about its record and the failure. */
export interface LetterFacts {
  readonly agent: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  /** Empty in letters of earlier versions. */
  readonly id: string
  readonly attempts: number
  /** Milliseconds since the epoch. */
  readonly failedAt: number
  readonly code: string
  readonly class: string
  readonly message: string
  readonly stack: string
  /** Of an event that has waited between its attempts: when it first failed, in milliseconds since the epoch as text; otherwise empty. */
  readonly firstFailedAt: string
  readonly firstCode: string
  readonly firstClass: string
  readonly firstMessage: string
  /** Empty when the letter holds its whole record. */
  readonly trimmed: string
  /** Empty for an event of a topic; otherwise what was due, and `topic` is the name of the state. */
  readonly due: string
}

/** The parts of an error that a letter keeps. */
export function describeError(error: Error, redact: Redact): Pick<LetterFacts, 'code' | 'class' | 'message' | 'stack'> {
  const code = 'code' in error && (typeof error.code === 'string' || typeof error.code === 'number') ? error.code : ''
  return {
    code: String(code),
    class: classOf(error),
    message: redact(isMillraceError(error) ? error.detail : error.message),
    stack: redact(withCauses(error)),
  }
}

/** The headers of a letter: the record's headers, then those for `facts`. */
export function writeLetterHeaders(own: RawHeaders, facts: LetterFacts, limits: TextLimits): RawHeaders {
  const texts = { ...facts, message: shorten(facts.message, limits.message), stack: shorten(facts.stack, limits.stack) }
  const written = [...FACTS, ...OPTIONAL_FACTS.filter((fact) => facts[fact] !== '')]
  return [
    ...own,
    ...written.map((fact) => [letterHeaders[fact], Buffer.from(String(texts[fact]), 'utf8')] as const),
    [letterHeaders.format, Buffer.from(String(FORMAT))],
  ]
}

/** The facts in a letter; `undefined` if Millrace did not write it. Throws `FORMAT_NEWER`. */
export function readLetterHeaders(
  headers: RawHeaders,
): { readonly facts: LetterFacts; readonly own: RawHeaders } | undefined {
  const first = headers.findLastIndex(([name]) => name === letterHeaders.agent)
  if (first < 0) return undefined
  const written = headers.slice(first)
  refuseNewer('This letter', Number(headerNamed(written, letterHeaders.format) ?? FORMAT), FORMAT)
  const text = (fact: keyof LetterFacts): string => headerNamed(written, letterHeaders[fact]) ?? ''
  const number = (fact: keyof LetterFacts): number => (text(fact) === '' ? Number.NaN : Number(text(fact)))
  const facts: LetterFacts = {
    agent: text('agent'),
    topic: text('topic'),
    partition: number('partition'),
    offset: number('offset'),
    timestamp: number('timestamp'),
    id: text('id'),
    attempts: number('attempts'),
    failedAt: number('failedAt'),
    code: text('code'),
    class: text('class'),
    message: text('message'),
    stack: text('stack'),
    firstFailedAt: text('firstFailedAt'),
    firstCode: text('firstCode'),
    firstClass: text('firstClass'),
    firstMessage: text('firstMessage'),
    trimmed: text('trimmed'),
    due: text('due'),
  }
  const whole = [facts.partition, facts.offset, facts.timestamp].every((n) => Number.isSafeInteger(n))
  if (facts.topic === '' || !whole || facts.partition < 0) return undefined
  return { facts, own: headers.slice(0, first) }
}

const FACTS: readonly (keyof LetterFacts)[] = Object.freeze([
  'agent',
  'topic',
  'partition',
  'offset',
  'timestamp',
  'id',
  'attempts',
  'failedAt',
  'code',
  'class',
  'message',
  'stack',
])

const OPTIONAL_FACTS = Object.freeze([
  'firstFailedAt',
  'firstCode',
  'firstClass',
  'firstMessage',
  'trimmed',
  'due',
] as const)

/** The constructor's name if the class has not set one. */
function classOf(error: Error): string {
  const { name } = error
  return name === 'Error' && error.constructor.name !== '' ? error.constructor.name : name
}

function withCauses(error: Error): string {
  const stacks: string[] = []
  let next: unknown = error
  for (let depth = 0; next instanceof Error && depth < 5; depth++) {
    stacks.push(next.stack ?? String(next))
    next = next.cause
  }
  return stacks.join('\nCaused by: ')
}

/** Never splits a surrogate pair, because half of one is not valid UTF-8. */
export function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text
  const last = text.charCodeAt(limit - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? limit - 1 : limit)
}
