import { type Codec, MillraceError, type TopicCodec } from '@millrace/core'
import type { SchemaFormat } from './formats/schema-format.ts'
import { SchemaRegistry } from './registry/schema-registry.ts'
import type { RegistryCodecOptions } from './registry/subjects.ts'

/** The codec of a format, as an app file has it: without a topic. */
export function registryCodec<T>(format: SchemaFormat, options: RegistryCodecOptions): TopicCodec<T> {
  const unbound = (): never => {
    throw new MillraceError(
      'CODEC_UNKNOWN',
      `The ${format.codec} codec has no topic here: it is for topics and tables of an app.`,
    )
  }
  return {
    name: format.codec,
    encode: unbound,
    decode: unbound,
    // The schema decides about values, and T says what the app takes them for.
    forTopic: (use, sources) => SchemaRegistry.of(sources).codec(format, use, options) as Codec<unknown> as Codec<T>,
  }
}
