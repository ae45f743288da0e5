import type { CodecSpec } from '@millrace/core'
import {
  createAgent,
  createChannel,
  createTopic,
  type AgentHandler,
  type AgentOf,
  type AgentOptions,
  type AgentSource,
  type Channel,
  type SourceKey,
  type SourceValue,
  type TopicOf,
  type TopicOptions,
} from '@millrace/streams'
import type { AppParts } from './app-parts.ts'

/**
 * What an app defines of topics and agents. One of the layers of `App`, which are classes for the sake of the one object
 * that users hold: its methods have type parameters and overloads.
 */
export class DefinesStreams {
  readonly #parts: Pick<AppParts, 'definitions' | 'streams'>

  constructor(parts: Pick<AppParts, 'definitions' | 'streams'>) {
    this.#parts = parts
  }

  /**
   * Declares a topic, to send to and to read from. It is created when it is missing.
   *
   * @throws `NAME_INVALID`, `NAME_TAKEN`, `TOPIC_INVALID`, `CODEC_UNKNOWN`, `DEFINITION_LATE`
   * @example
   * const posts = app.topic('posts', { value: 'string' })
   * await posts.send({ value: 'hello world' })
   */
  topic<
    const KS extends CodecSpec | undefined = undefined,
    const VS extends CodecSpec | undefined = undefined,
    const T extends boolean | undefined = undefined,
  >(name: string, options?: TopicOptions<KS, VS, T>): TopicOf<KS, VS, T> {
    const { definitions, streams } = this.#parts
    return definitions.add('topic', { into: definitions.topics, name }, () =>
      createTopic<KS, VS, T>(streams, name, options),
    )
  }

  /**
   * Declares a channel: a topic in memory, for one worker.
   *
   * @example
   * const alerts = app.channel<Alert>()
   */
  channel<T>(name?: string): Channel<T> {
    return createChannel<T>(this.#parts.streams, name)
  }

  /**
   * Declares an agent over a topic, a channel, several of them, or a topic of its own named `{id}-{name}`.
   *
   * @throws `NAME_INVALID`, `NAME_TAKEN`, `DEFINITION_INVALID`, `DEFINITION_LATE`
   * @example
   * app.agent('count-words', { key: 'string', value: json(Word) }, async (words) => {
   *   for await (const { word } of words) counts.update(word, (n) => n + 1)
   * })
   */
  agent<const S extends AgentSource, Y = never, const T extends boolean | undefined = undefined>(
    name: string,
    source: S,
    handler: AgentHandler<S, Y, T>,
    options: AgentOptions<NoInfer<Y>, T, SourceKey<S>, SourceValue<S>> = {},
  ): AgentOf<S, Y> {
    const { definitions, streams } = this.#parts
    return definitions.add('agent', { into: definitions.agents, name }, () =>
      createAgent<S, Y, T>(streams, name, source, handler, options),
    )
  }
}
