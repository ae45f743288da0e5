import type { CodecEnvironment, CodecSource, CodecSources, CodecUse, TopicCodec } from '../../contracts/codec.ts'
import type { CodecSpec } from './resolve-codec.ts'

/**
 * The codecs of an app that depend on a source outside the process, such as a schema registry. Topics and tables bind
 * their codecs here; workers and clients open the sources before their first record.
 */
export class TopicCodecs {
  readonly #environment: CodecEnvironment
  readonly #sources = new Map<symbol, CodecSource>()

  constructor(environment: CodecEnvironment) {
    this.#environment = environment
  }

  /** The sources that codecs of the app use. */
  get sources(): readonly CodecSource[] {
    return [...this.#sources.values()]
  }

  /**
   * The spec for one topic: itself, unless it is a codec that depends on the topic.
   *
   * @throws what `forTopic` of the codec throws
   */
  bind<S extends CodecSpec | undefined>(spec: S, use: CodecUse): S {
    // `forTopic` keeps the types of keys and values, but the compiler cannot see it through S.
    return isTopicCodec(spec) ? (spec.forTopic(use, this.#sourceOf) as S) : spec
  }

  /** Rejects with the first error of a source; `close` is due all the same. */
  async open(): Promise<void> {
    await Promise.all(this.sources.map((source) => source.open()))
  }

  /** Once for each `open`. */
  close(): void {
    for (const source of this.sources) source.close()
  }

  readonly #sourceOf: CodecSources = (kind, make) => {
    const known = this.#sources.get(kind)
    if (known !== undefined) return known
    const source = make(this.#environment)
    this.#sources.set(kind, source)
    return source
  }
}

function isTopicCodec(spec: CodecSpec | undefined): spec is TopicCodec<never, unknown> {
  return typeof spec === 'object' && 'forTopic' in spec && typeof spec.forTopic === 'function'
}
