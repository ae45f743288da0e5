import {
  checkOptions,
  MillraceError,
  resolveCodec,
  validateName,
  type Codec,
  type CodecSpec,
  type Duration,
  type Immutable,
  type InputOf,
  type NamedCodecs,
  type OptionNames,
  type OutputOf,
} from '@millrace/core'
import {
  changelogOf,
  type CodecKeyOptions,
  type CodecShapeOptions,
  type PartitionKey,
  type StateContext,
} from '@millrace/state'
import { globalTopicName } from './global/global-topic-name.ts'

/** A table's value type for a codec spec. */
export type ValueOf<S extends CodecSpec> = Immutable<InputOf<S>>

/** A table's key type for a codec spec. */
export type KeyOf<S extends CodecSpec> = InputOf<S>

/** What the compiler says when a schema changes what it validates, as one does that has a `.default()`. */
export interface InputDiffersFromOutput {
  readonly 'a table needs a schema whose input and output are the same type, without .default() or .transform(): give the table the option migrate, which reads the rows that lack a new field': never
}

/** `unknown` for specs whose input and output types are equal: a table gives out what was put in. */
export type RoundTrip<S extends CodecSpec> = S extends keyof NamedCodecs
  ? unknown
  : [InputOf<S>] extends [OutputOf<S>]
    ? [OutputOf<S>] extends [InputOf<S>]
      ? unknown
      : InputDiffersFromOutput
    : InputDiffersFromOutput

/** Creates the value of a missing key, a new one for each key. */
export type Fallback<VS extends CodecSpec> = (() => ValueOf<VS>) | undefined

/** The result of `get`: `undefined` only without a default. */
export type GivenOf<VS extends CodecSpec, D extends Fallback<VS>> = [D] extends [undefined]
  ? ValueOf<VS> | undefined
  : ValueOf<VS>

/** Options of all kinds of tables. */
export interface KeyedOptions<KS extends CodecSpec, VS extends CodecSpec> {
  /** Must encode keys as the source topic does. */
  readonly key: KS & RoundTrip<KS>
  readonly value: VS & RoundTrip<VS>
  /** Partition count; by default the existing changelog's, else that of the source topics. */
  readonly partitions?: number
  /** Warm copies of each partition to keep on other workers, so that one that takes it over need not read the whole changelog. Default: the setting `standbys`. */
  readonly standbys?: number
  /** The part of a composite key that is the key of the source topic: text, a number or bytes. */
  readonly partitionBy?: (key: KeyOf<KS>) => PartitionKey
  /** One line for listings. */
  readonly help?: string
}

/** How a table is declared. `D` is the type of `default`, which decides what `get` gives. */
export interface TableOptions<
  KS extends CodecSpec,
  VS extends CodecSpec,
  D extends Fallback<VS> = undefined,
> extends KeyedOptions<KS, VS> {
  /** Creates the value of a missing key; called each time, so that no two keys share an object. */
  readonly default?: D
  /**
   * `'source'`: the source topic is filled by another partitioner than Kafka's default, so a key lives wherever its events
   * come from. Keys are then not checked against partitions, and requests for a key cannot be routed to a worker. Default `'key'`.
   */
  readonly partitioner?: 'key' | 'source'
  /** Reads a row that the value's codec refuses, for example one written by an older version of the app. */
  readonly migrate?: (raw: Buffer, key: KeyOf<KS>) => ValueOf<VS>
  /**
   * The table is this topic: each record sets the row of its key, and one without a value deletes it. The agent `{name}-from`
   * does that, and no other one may write. The table has as many partitions as the topic.
   */
  readonly from?: TableTopic<NoInfer<KeyOf<KS>>, NoInfer<ValueOf<VS>>>
  /** A row expires so long after its last write: it is hidden at once, and deleted soon after. Default: rows stay. */
  readonly ttl?: Duration
  /** What `ttl` goes by: the clock of the workers, or the time of events. Default `'wall'`. */
  readonly clock?: 'wall' | 'event'
}

/** A topic as a table reads it: what `app.topic` makes. */
export interface TableTopic<K, V> {
  readonly name: string
  readonly key: { readonly name: string; decode(bytes: Buffer): K }
  readonly value: { decode(bytes: Buffer): V | null }
  readonly declaration: { readonly partitions: number | undefined }
}

/** Options with the codecs resolved. */
export interface KeyedDefinition<K, V> extends CodecKeyOptions<K> {
  readonly name: string
  readonly valueSpec: CodecSpec
  readonly valueCodec: Codec<V>
  readonly partitions: number | undefined
  readonly standbys: number | undefined
  readonly help: string | undefined
}

/** A table's options with the codecs resolved. */
export interface TableDefinition<K, V> extends KeyedDefinition<K, V>, CodecShapeOptions<K, V> {
  readonly fallback: (() => V) | undefined
  readonly partitioner: 'key' | 'source'
  /** As of `StateDefinition`. */
  readonly sizedAs?: readonly string[] | undefined
  readonly from?: TableTopic<K, V> | undefined
}

/** The table to which options belong, for messages. */
export interface NamedTable {
  readonly kind: 'table' | 'key timers' | 'global table' | 'set table' | 'global set table'
  readonly name: string
  readonly context: StateContext
  /** The topic that holds its rows, if it is not the usual one. */
  readonly topic?: string | undefined
}

/** The options that all kinds of tables have. */
export const KEYED_OPTIONS: OptionNames<KeyedOptions<CodecSpec, CodecSpec>> = {
  key: true,
  value: true,
  partitions: true,
  standbys: true,
  partitionBy: true,
  help: true,
}

/** Options that are functions, where they are given. */
const FUNCTIONS = ['default', 'migrate', 'partitionBy'] as const

/** Throws `CODEC_UNKNOWN`, `NAME_INVALID`, `DEFINITION_INVALID`. */
export function readOptions<KS extends CodecSpec, VS extends CodecSpec>(
  table: NamedTable,
  options: KeyedOptions<KS, VS>,
  known: OptionNames<object>,
): KeyedDefinition<KeyOf<KS>, ValueOf<VS>> {
  const { kind, name } = table
  validateName('table', name)
  const where = `${kind} "${name}"`
  checkOptions(where, options, known)
  for (const option of FUNCTIONS) checkFunction(where, option, options)
  const { partitions, standbys, partitionBy, help } = options
  const { key, value } = boundTo(table, options)
  if (standbys !== undefined && !(Number.isInteger(standbys) && standbys >= 0))
    throw new MillraceError('DEFINITION_INVALID', `standbys of ${where} is ${standbys}; it takes 0, 1, 2, …`)
  return {
    name,
    where,
    keySpec: key,
    valueSpec: value,
    keyCodec: roundTripCodec<KS>(key, 'key', where),
    valueCodec: roundTripCodec<VS>(value, kind.endsWith('set table') ? 'element' : 'value', where),
    partitions,
    standbys,
    partitionBy,
    help,
  }
}

/** The codecs of a table, for those that depend on its topic. */
function boundTo<KS extends CodecSpec, VS extends CodecSpec>(
  { kind, name, context: { appId, codecs }, topic: own }: NamedTable,
  { key, value }: KeyedOptions<KS, VS>,
): { readonly key: KS; readonly value: VS } {
  if (codecs === undefined) return { key, value }
  const topic = kind.startsWith('global') ? globalTopicName(appId, name, own) : changelogOf(appId, name).topic
  return {
    key: codecs.bind<KS>(key, { topic, part: 'key', canonical: true, isWritten: true }),
    value: codecs.bind<VS>(value, { topic, part: 'value', canonical: kind.endsWith('set table'), isWritten: true }),
  }
}

function checkFunction(
  where: string,
  option: (typeof FUNCTIONS)[number],
  options: { readonly [Name in typeof option]?: unknown },
): void {
  const given = options[option]
  if (given === undefined || typeof given === 'function') return
  const shown = JSON.stringify(given)
  const hint = option === 'default' ? ` that makes the value, as in default: () => (${shown})` : ''
  throw new MillraceError('DEFINITION_INVALID', `${option} of ${where} is ${shown}; it takes a function${hint}.`)
}

/** The codec of a spec that is `RoundTrip`: it gives the type that it takes, which `resolveCodec` cannot say. */
function roundTripCodec<S extends CodecSpec>(spec: S, role: 'key', where: string): Codec<KeyOf<S>>
function roundTripCodec<S extends CodecSpec>(spec: S, role: 'value' | 'element', where: string): Codec<ValueOf<S>>
function roundTripCodec(spec: CodecSpec, role: 'key' | 'value' | 'element', where: string): Codec<never, unknown> {
  // Elements of sets are in the row's key: equal ones must be equal bytes.
  if (role === 'element') return resolveCodec(spec, 'key', `the elements of ${where}`)
  return resolveCodec(spec, role === 'value' ? 'row' : role, where)
}
