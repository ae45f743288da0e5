import { checkOptions, MillraceError, validateName, type Codec, type CodecSpec, type OptionNames } from '@millrace/core'
import type { PartitionKey } from '../keys/partition-bytes.ts'
import { checkStandbys } from './check-standbys.ts'
import { roundTripCodec } from './round-trip-codec.ts'
import type { KeyOf, RoundTrip, ValueOf } from './table-types.ts'

/** What all kinds of tables are declared with. */
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

/** These options, with the codecs resolved. */
export interface KeyedDefinition<K, V> {
  readonly name: string
  readonly keySpec: CodecSpec
  readonly valueSpec: CodecSpec
  readonly keyCodec: Codec<K>
  readonly valueCodec: Codec<V>
  readonly partitions: number | undefined
  readonly standbys: number | undefined
  readonly partitionBy: ((key: K) => PartitionKey) | undefined
  readonly help: string | undefined
}

/** Where options were read, for messages. */
export interface OptionsPlace {
  readonly kind: 'table' | 'global table' | 'set table'
  readonly name: string
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
  { kind, name }: OptionsPlace,
  options: KeyedOptions<KS, VS>,
  known: OptionNames<object>,
): KeyedDefinition<KeyOf<KS>, ValueOf<VS>> {
  validateName('table', name)
  const where = `${kind} "${name}"`
  checkOptions(where, options, known)
  for (const option of FUNCTIONS) checkFunction(where, option, options)
  return {
    name,
    keySpec: options.key,
    valueSpec: options.value,
    keyCodec: roundTripCodec<KS>(options.key, 'key', where),
    valueCodec: roundTripCodec<VS>(options.value, kind === 'set table' ? 'element' : 'value', where),
    partitions: options.partitions,
    standbys: checkStandbys(where, options.standbys),
    partitionBy: options.partitionBy,
    help: options.help,
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
