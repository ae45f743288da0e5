import type { CodecSpec, Duration, Given, InputOf, OutputOf } from '@millrace/core'
import type { HeaderValues } from '../events/headers.ts'

/** Options of a topic; an agent that owns its topic takes the same. */
export interface TopicOptions<
  KS extends CodecSpec | undefined = CodecSpec | undefined,
  VS extends CodecSpec | undefined = CodecSpec | undefined,
  T extends boolean | undefined = boolean | undefined,
> {
  /** How keys are encoded. Default `'string'`. A key declared here is expected on every record whose key is read. */
  readonly key?: KS
  /** How values are encoded. Default `'json'`. */
  readonly value?: VS
  /** Count for creating the topic. Default: the setting `topicPartitions`. */
  readonly partitions?: number | undefined
  /** Topic settings by Kafka's names, used when the topic is created. */
  readonly config?: Readonly<Record<string, string>> | undefined
  /** Create the topic when it is missing. Default `true`. */
  readonly create?: boolean | undefined
  /** How long records are kept (`retention.ms`), used when the topic is created. Default: the broker's. */
  readonly retention?: Duration | undefined
  /** Hand out records without a value, as `null`, instead of passing over them. Default `false`. */
  readonly tombstones?: T
  /**
   * The time of an event, in milliseconds since the epoch, where it is in the value. Default: the record's timestamp. A
   * negative one, or none, makes the record undecodable.
   */
  timestamp?(value: ValueOutput<VS, false>): number | Date
}

/** What reading a key gives: a record may have none where no key was declared. */
export type KeyOutput<KS extends CodecSpec | undefined> = [KS] extends [CodecSpec] ? OutputOf<KS> : string | null
export type KeyInput<KS extends CodecSpec | undefined> = [KS] extends [CodecSpec] ? InputOf<KS> : string
export type ValueOutput<VS extends CodecSpec | undefined, T extends boolean | undefined> =
  | ([VS] extends [CodecSpec] ? OutputOf<VS> : unknown)
  | ([T] extends [true] ? null : never)
/** What sending takes: values of tables too, which are readonly to their depth. */
export type ValueInput<VS extends CodecSpec | undefined> = [VS] extends [CodecSpec] ? Given<InputOf<VS>> : unknown

/** One record to send. */
export interface RecordToSend<KI, VI> {
  readonly key?: KI | null | undefined
  /** `null` sends a tombstone. */
  readonly value: VI | null
  readonly headers?: HeaderValues | undefined
  /** Milliseconds since the epoch. Default: that of the current event, else now. */
  readonly timestamp?: number | undefined
  /** Default: by the key's hash, or spread when there is no key. */
  readonly partition?: number | undefined
}
