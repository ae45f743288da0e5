import { MillraceError, type EventScope } from '@millrace/core'

/** The parts of a `KeyShape` that the message needs. */
interface KeysShown {
  readonly where: string
  readonly codecName: string
  readonly byCodec: boolean
  show(bytes: Buffer): string
}

export interface MisplacedKey {
  readonly keys: KeysShown
  readonly bytes: Buffer
  readonly event: EventScope
  /** Where the key belongs. */
  readonly partition: number
}

/** Why an event may not touch a key: another codec makes other bytes of the same key, so that is said first. */
export function ownershipError({ keys, bytes, event, partition }: MisplacedKey): MillraceError {
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
    `${subject} belongs to partition ${partition}, the event in hand (topic "${event.topic}") to partition ${task.partition} of ${task.partitions}.`,
  )
}
