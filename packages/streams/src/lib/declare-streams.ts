import type { CodecSpec, DefinedNames, Named } from '@millrace/core'
import type { AnyAgent } from './agents/agent.ts'
import type { AgentHandler, AgentOptions, AgentSource, SourceKey, SourceValue } from './agents/agent-options.ts'
import { type AgentOf, createAgent } from './agents/create-agent.ts'
import { type Channel, createChannel } from './channels/channel.ts'
import type { StreamsContext } from './streams-context.ts'
import { createTopic, type TopicOf } from './topics/create-topic.ts'
import type { AnyTopic } from './topics/topic.ts'
import type { TopicOptions } from './topics/topic-options.ts'

/** Declarations of topics, channels and agents in an app. */
export interface StreamDeclarations {
  /**
   * Declares a topic to send to and to read from. It is created if it is missing.
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
  >(
    name: string,
    options?: TopicOptions<KS, VS, T>,
  ): TopicOf<KS, VS, T>

  /**
   * Declares a channel: a topic in memory, for one worker.
   *
   * @example
   * const alerts = app.channel<Alert>()
   */
  channel<T>(name?: string): Channel<T>

  /**
   * Declares an agent over a topic, a channel, several of them, or a topic of its own named `{id}-{name}`.
   *
   * @throws `NAME_INVALID`, `NAME_TAKEN`, `DEFINITION_INVALID`, `DEFINITION_LATE`
   * @example
   * app.agent('count-words', { key: 'string', value: json(Word) }, async (words) => {
   *   for await (const { word } of words) counts.update(word, (n) => n + 1)
   * })
   */
  agent<
    const S extends AgentSource,
    Y = never,
    const T extends boolean | undefined = undefined,
    const N extends string = string,
  >(
    name: N,
    source: S,
    handler: AgentHandler<S, Y, T>,
    options?: AgentOptions<NoInfer<Y>, T, SourceKey<S>, SourceValue<S>>,
  ): Named<AgentOf<S, Y>, N>
}

/** Collects the declarations. */
interface StreamDefinitions extends DefinedNames {
  readonly topics: Map<string, AnyTopic>
  readonly agents: Map<string, AnyAgent>
}

export function declareStreams(context: StreamsContext, definitions: StreamDefinitions): StreamDeclarations {
  const { topics, agents } = definitions
  return {
    topic: (name, options) =>
      definitions.add('topic', { into: topics, name }, () => createTopic(context, name, options)),
    channel: (name) => createChannel(context, name),
    agent: (name, source, handler, options) =>
      definitions.add('agent', { into: agents, name }, () => createAgent(context, name, source, handler, options)),
  }
}
