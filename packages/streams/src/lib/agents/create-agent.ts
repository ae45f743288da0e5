import { MillraceError, validateName } from '@millrace/core'
import { type AnyChannel, Channel } from '../channels/channel.ts'
import type { StreamsDeps } from '../streams-deps.ts'
import { createTopic } from '../topics/create-topic.ts'
import { type AnyTopic, Topic } from '../topics/topic.ts'
import { deliverTo } from '../topics/value-target.ts'
import { Agent } from './agent.ts'
import type {
  AgentHandler,
  AgentOptions,
  AgentSource,
  SourceKey,
  SourceKeyInput,
  SourceValue,
  SourceValueInput,
} from './agent-options.ts'
import { DEFAULT_ERROR_POLICY, errorPolicy } from './error-policy.ts'

/** What `createAgent` gives. */
export type AgentOf<S extends AgentSource, Y> = Agent<SourceKeyInput<S>, SourceValueInput<S>, Y>

/**
 * An agent: `handler` is called once for each instance with the stream of what comes from `source`, and loops over it.
 * As an async generator it may yield values, to its sinks and to whoever asked.
 *
 * @throws `NAME_INVALID`, `DEFINITION_INVALID`, what `createTopic` throws
 *
 * @example
 * createAgent(deps, 'count-words', { key: 'string', value: json(Word) }, async (words) => {
 *   for await (const { word } of words) counts.update(word, (n) => n + 1)
 * })
 */
export function createAgent<const S extends AgentSource, Y = never, const T extends boolean | undefined = undefined>(
  deps: StreamsDeps,
  name: string,
  source: S,
  handler: AgentHandler<S, Y, T>,
  options: AgentOptions<NoInfer<Y>, T> = {},
): AgentOf<S, Y> {
  const where = `agent "${validateName('agent', name)}"`
  const sources = sourcesOf(deps, name, source)
  const [inbox] = sources
  if (inbox === undefined) throw new MillraceError('DEFINITION_INVALID', `The ${where} has no source.`)
  const { concurrency = 1, ordering = 'key', sinks = [], onError, help, tombstones = false } = options
  if (!Number.isSafeInteger(concurrency) || concurrency < 1)
    throw new MillraceError(
      'DEFINITION_INVALID',
      `The ${where} has concurrency: ${concurrency}, which is not a whole number above 0.`,
    )
  if (typeof onError !== 'function') errorPolicy(onError, DEFAULT_ERROR_POLICY, where)
  return new Agent<SourceKeyInput<S>, SourceValueInput<S>, Y>(deps, {
    name,
    help,
    sources,
    // The first source takes what the types say: both come from S.
    inbox: inbox as Topic<unknown, unknown, SourceKeyInput<S>, SourceValueInput<S>> | Channel<SourceValueInput<S>>,
    concurrency,
    ordering,
    tombstones,
    sinks: sinks.map((sink) => (value, delivery) => deliverTo(sink, value as Y, delivery)),
    sinkTopics: sinks.filter((sink) => sink instanceof Topic),
    onError,
    start: (opener) => handler(opener.open<SourceKey<S>, SourceValue<S> | ([T] extends [true] ? null : never)>()),
  })
}

function sourcesOf(deps: StreamsDeps, name: string, source: AgentSource): readonly (AnyTopic | AnyChannel)[] {
  if (source instanceof Topic || source instanceof Channel) return [source]
  if (isList(source)) return source
  return [createTopic(deps, `${deps.appId}-${name}`, source)]
}

function isList(source: AgentSource): source is readonly (AnyTopic | AnyChannel)[] {
  return Array.isArray(source)
}
