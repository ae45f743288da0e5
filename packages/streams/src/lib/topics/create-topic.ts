import {
  checkOptions,
  type Codec,
  type CodecSpec,
  MillraceError,
  type OptionNames,
  parseDuration,
  repartitionTopic,
  resolveCodec,
  validateName,
} from '@millrace/core'
import type { TopicDeclaration } from '@millrace/worker'
import type { StreamsContext } from '../streams-context.ts'
import { StampedValue } from './stamped-value.ts'
import { type AnyTopic, Topic } from './topic.ts'
import type { KeyInput, KeyOutput, TopicOptions, ValueInput, ValueOutput } from './topic-options.ts'

/** What `createTopic` gives for the specs it is given. */
export type TopicOf<
  KS extends CodecSpec | undefined,
  VS extends CodecSpec | undefined,
  T extends boolean | undefined,
> = Topic<KeyOutput<KS>, ValueOutput<VS, T>, KeyInput<KS>, ValueInput<VS>>

/**
 * A topic of the app.
 *
 * @throws `NAME_INVALID`, `TOPIC_INVALID`, `CODEC_UNKNOWN`, `DURATION_INVALID`, `DEFINITION_INVALID`
 *
 * @example
 * const orders = createTopic(context, 'orders', { key: 'string', value: json(Order), partitions: 8 })
 */
export function createTopic<
  const KS extends CodecSpec | undefined = undefined,
  const VS extends CodecSpec | undefined = undefined,
  const T extends boolean | undefined = undefined,
>(context: StreamsContext, name: string, options?: TopicOptions<KS, VS, T>): TopicOf<KS, VS, T>
export function createTopic(context: StreamsContext, name: string, options: TopicOptions = {}): AnyTopic {
  return makeTopic(context, name, { options, internal: false })
}

const OPTIONS: OptionNames<TopicOptions> = {
  key: true,
  value: true,
  partitions: true,
  config: true,
  create: true,
  retention: true,
  tombstones: true,
  timestamp: true,
}

function makeTopic(
  context: StreamsContext,
  name: string,
  {
    options,
    internal,
    sizedAs,
    timeOf,
    sizedAsState,
  }: Pick<RepartitionTopicOptions, 'sizedAs' | 'timeOf' | 'sizedAsState'> & {
    options: TopicOptions
    internal: boolean
  },
): AnyTopic {
  const where = `topic "${validateName('topic', name)}"`
  checkOptions(where, options, OPTIONS)
  const { partitions, retention } = options
  if (partitions !== undefined && !(Number.isSafeInteger(partitions) && partitions > 0))
    throw new MillraceError(
      'TOPIC_INVALID',
      `Topic "${name}" has partitions: ${partitions}, which is not a whole number above 0.`,
    )
  const { codecs } = context
  const keySpec =
    codecs?.bind(options.key, { topic: name, part: 'key', canonical: true, isWritten: false }) ?? options.key
  const valueSpec =
    codecs?.bind(options.value, { topic: name, part: 'value', canonical: false, isWritten: false }) ??
    options.value ??
    'json'
  const key = resolveCodec(keySpec ?? 'string', 'key', where)
  const value = resolveCodec(valueSpec, 'value', where)
  const { timestamp } = options
  if (timestamp !== undefined && typeof timestamp !== 'function')
    throw new MillraceError('DEFINITION_INVALID', `timestamp of ${where} is ${String(timestamp)}; it takes a function.`)
  const reader = timestamp && { topic: name, decode: (bytes: Buffer): unknown => value.decode(bytes), timestamp }
  const missing = missingIn(key, value)
  return new Topic<unknown, unknown, never, never>(context, {
    declaration: {
      name,
      partitions,
      config: {
        ...(retention === undefined
          ? {}
          : { 'retention.ms': String(parseDuration(retention, `retention of ${where}`)) }),
        ...options.config,
      },
      create: options.create ?? true,
      internal,
      ...(internal ? { purge: true } : {}),
      ...(sizedAs === undefined ? {} : { sizedAs }),
      ...(timeOf === undefined ? {} : { timeOf }),
      ...(sizedAsState === undefined ? {} : { sizedAsState }),
      // Without a declared key codec the topic may hold any keys: tables are then not checked against it.
      keyCodec: options.key === undefined ? undefined : key.name,
      ...(reader === undefined ? {} : { stamp: (record) => new StampedValue(record, reader) }),
      ...(missing === undefined ? {} : { missing }),
    },
    key,
    value,
    valueSpec,
    keySpec,
    keyExpected: options.key !== undefined,
    tombstones: options.tombstones ?? false,
  })
}

/** What the codecs of a record need from outside; `undefined` if neither ever needs anything. */
function missingIn(
  key: Pick<Codec<never>, 'missing'>,
  value: Pick<Codec<never>, 'missing'>,
): TopicDeclaration['missing'] {
  if (key.missing === undefined && value.missing === undefined) return undefined
  return (record) => {
    const forKey = record.key === null ? undefined : key.missing?.(record.key)
    const forValue = record.value === null ? undefined : value.missing?.(record.value)
    if (forKey === undefined || forValue === undefined) return forKey ?? forValue
    return Promise.all([forKey, forValue]).then(() => undefined)
  }
}

/** Small enough for the broker to free soon what has been read: it deletes whole segments only. As Kafka Streams has it. */
const SEGMENT_BYTES = 50 * 1024 * 1024

/** Settings of a topic that keeps everything until the app has read it, whatever the broker's defaults are. */
export const UNTIL_READ: Readonly<Record<string, string>> = Object.freeze({
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'segment.bytes': String(SEGMENT_BYTES),
})

export interface RepartitionTopicOptions {
  readonly subscriptionId: string
  readonly key: CodecSpec
  readonly value: CodecSpec
  readonly partitions: number | undefined
  /** As of `TopicDeclaration`. */
  readonly sizedAs?: readonly string[] | undefined
  /** As of `TopicDeclaration`. */
  readonly timeOf?: readonly string[] | undefined
  /** As of `TopicDeclaration`. */
  readonly sizedAsState?: string | undefined
}

/**
 * A topic that Millrace makes for the app itself. It keeps everything until the app has read it: its records have the times of
 * their events, so that with any retention old events could go before they were seen.
 */
export function createRepartitionTopic(
  context: StreamsContext,
  { subscriptionId, key, value, partitions, sizedAs, timeOf, sizedAsState }: RepartitionTopicOptions,
): AnyTopic {
  return makeTopic(context, repartitionTopic(context.appId, subscriptionId), {
    options: {
      key,
      value,
      partitions,
      config: UNTIL_READ,
    },
    internal: true,
    sizedAs,
    timeOf,
    sizedAsState,
  })
}
