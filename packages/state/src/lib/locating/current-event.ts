import { MillraceError } from '@millrace/core'
import type { ContextStorage, CurrentEvent, ProcessingContext } from '@millrace/worker'
import type { KeyShape } from '../keys/key-shape.ts'

/** The current event, whose changes reads see; `undefined` outside agents and between events. */
export function readingEvent(storage: ContextStorage): CurrentEvent | undefined {
  const event = storage.getStore()?.event
  return event !== undefined && event.open ? event : undefined
}

/** The current event. Throws `NO_CURRENT_EVENT` inside agents, `WRITE_OUTSIDE_AGENT` elsewhere. */
export function writingEvent(storage: ContextStorage, where: string): CurrentEvent {
  const work = storage.getStore()
  const event = work?.event
  if (event !== undefined && event.open) return event
  throw noEvent(work, where)
}

function noEvent(work: ProcessingContext | undefined, where: string): MillraceError {
  if (work === undefined || (work.agent === undefined && work.event === undefined)) {
    return new MillraceError('WRITE_OUTSIDE_AGENT', `A write to ${where} outside of any agent.`)
  }
  const agent = work.agent ?? work.event?.agent ?? ''
  return new MillraceError('NO_CURRENT_EVENT', `A write to ${where} in agent "${agent}", with no current event.`)
}

export interface MisplacedKey<K> {
  readonly keys: KeyShape<K>
  readonly bytes: Buffer
  readonly event: CurrentEvent
  /** Where the key belongs. */
  readonly partition: number
}

/** Why an event may not use a key. A different codec encodes the same key to different bytes, so a codec mismatch is reported first. */
export function ownershipError<K>({ keys, bytes, event, partition }: MisplacedKey<K>): MillraceError {
  const subject = `Key ${keys.show(bytes)} of ${keys.where}`
  if (keys.byCodec && event.keyCodec !== undefined && event.keyCodec !== keys.codecName) {
    return new MillraceError(
      'KEY_CODEC_DIFFERS',
      `${subject} is encoded as ${keys.codecName}, the keys of topic "${event.topic}" as ${event.keyCodec}.`,
    )
  }
  const { task } = event
  return new MillraceError(
    'KEY_NOT_OWNED',
    `${subject} belongs to partition ${partition}, the current event (topic "${event.topic}") to partition ${task.partition} of ${task.partitions}.`,
  )
}
