import { checkOptions, MillraceError, type OptionNames, parseDuration, validateName } from '@millrace/core'
import type { DueSource } from '@millrace/worker'
import type { AnyChannel } from '../channels/channel.ts'
import { DEFAULT_ERROR_POLICY, errorPolicy } from '../errors/error-policy.ts'
import { deliverTo } from '../events/targets.ts'
import { retryPlan } from '../errors/retry-plan.ts'
import { DueReader } from '../streams/due-source.ts'
import { Stream } from '../streams/stream.ts'
import type { StreamsContext } from '../streams-context.ts'
import { createTopic } from '../topics/create-topic.ts'
import { type AnyTopic, Topic } from '../topics/topic.ts'
import { Agent, type AgentInbox } from './agent.ts'
import type {
  AgentHandler,
  AgentOptions,
  AgentSource,
  AnySource,
  RateLimitOptions,
  SourceKey,
  SourceKeyInput,
  SourceValue,
  SourceValueInput,
} from './agent-options.ts'

/** The type of the agent that `createAgent` returns. */
export type AgentOf<S extends AgentSource, Y> = Agent<SourceKeyInput<S>, SourceValueInput<S>, Y>

/**
 * An agent: `handler` is called once for each instance with a stream of events from `source`, and loops over it. As an
 * async generator it may yield values, to its sinks and to askers.
 *
 * @throws `NAME_INVALID`, `DEFINITION_INVALID`, `DURATION_INVALID`, what `createTopic` throws
 *
 * @example
 * createAgent(context, 'count-words', { key: 'string', value: json(Word) }, async (words) => {
 *   for await (const { word } of words) counts.update(word, (n) => n + 1)
 * })
 */
export function createAgent<const S extends AgentSource, Y = never, const T extends boolean | undefined = undefined>(
  context: StreamsContext,
  name: string,
  source: S,
  handler: AgentHandler<S, Y, T>,
  options: AgentOptions<NoInfer<Y>, T, SourceKey<S>, SourceValue<S>> = {},
): AgentOf<S, Y> {
  const where = `agent "${validateName('agent', name)}"`
  const what = `Agent "${name}"`
  const sources = sourcesOf(context, name, source)
  const [inbox] = sources
  if (inbox === undefined) throw new MillraceError('DEFINITION_INVALID', `${what} has no source.`)
  if (typeof handler !== 'function')
    throw new MillraceError('DEFINITION_INVALID', `${what} has no handler: give it an async function after its source.`)
  checkOptions(where, options, AGENT_OPTIONS)
  const { concurrency, ordering = 'key', sinks = [], onError, help, tombstones = false, http = false } = options
  checkChoices(what, options)
  if (typeof onError !== 'function') errorPolicy(onError, DEFAULT_ERROR_POLICY, where)
  return new Agent<SourceKeyInput<S>, SourceValueInput<S>, Y>(context, {
    name,
    help,
    sources,
    // The first source accepts these types, because both come from S.
    inbox: inbox as AgentInbox<SourceKeyInput<S>, SourceValueInput<S>>,
    concurrency,
    ordering,
    tombstones,
    http,
    timeoutMs: timeoutOf(what, options),
    perSecond: perSecondOf(what, options),
    sinks: sinks.map((sink) => (value, event) => deliverTo(sink, value as Y, event)),
    sinkTopics: sinks.filter((sink) => sink instanceof Topic),
    onError,
    retry: options.retry === undefined ? undefined : retryPlan(where, options.retry, { ordering, onError }),
    start: (run) =>
      handler(
        Stream.of<SourceKey<S>, SourceValue<S> | ([T] extends [true] ? null : never)>(run, run.steps.declared(sources)),
      ),
  })
}

const AGENT_OPTIONS: OptionNames<AgentOptions<unknown>> = {
  concurrency: true,
  ordering: true,
  sinks: true,
  onError: true,
  retry: true,
  timeout: true,
  rateLimit: true,
  tombstones: true,
  http: true,
  help: true,
}

const RATE_OPTIONS: OptionNames<RateLimitOptions> = { perSecond: true }

function checkChoices(
  what: string,
  { concurrency, ordering, sinks, http }: Pick<AgentOptions<never>, 'concurrency' | 'ordering' | 'sinks' | 'http'>,
): void {
  if (concurrency !== undefined && (!Number.isSafeInteger(concurrency) || concurrency < 1))
    throw new MillraceError(
      'DEFINITION_INVALID',
      `${what} has concurrency: ${concurrency}, which is not a whole number above 0.`,
    )
  if (ordering !== undefined && ordering !== 'key' && ordering !== 'none')
    throw new MillraceError(
      'DEFINITION_INVALID',
      `${what} has ordering: ${JSON.stringify(ordering)}; it takes 'key' or 'none'.`,
    )
  if (sinks !== undefined && !Array.isArray(sinks))
    throw new MillraceError('DEFINITION_INVALID', `${what} has sinks that are no list: write sinks: [ … ].`)
  if (http !== undefined && typeof http !== 'boolean')
    throw new MillraceError('DEFINITION_INVALID', `${what} has http: ${JSON.stringify(http)}; it takes true or false.`)
  for (const sink of sinks ?? [])
    if (!isSink(sink))
      throw new MillraceError(
        'DEFINITION_INVALID',
        `${what} has ${JSON.stringify(sink)} among its sinks; they are topics, agents, channels and functions.`,
      )
}

function timeoutOf(what: string, { timeout }: Pick<AgentOptions<never>, 'timeout'>): number | undefined {
  if (timeout === undefined) return undefined
  const ms = parseDuration(timeout, `timeout of ${what}`)
  if (ms > 0) return ms
  throw new MillraceError('DEFINITION_INVALID', `${what} has a timeout of 0: its events could never finish.`)
}

function perSecondOf(what: string, { rateLimit }: Pick<AgentOptions<never>, 'rateLimit'>): number | undefined {
  if (rateLimit === undefined) return undefined
  checkOptions(`rateLimit of ${what}`, rateLimit, RATE_OPTIONS)
  const { perSecond } = rateLimit
  if (typeof perSecond === 'number' && perSecond > 0 && Number.isFinite(perSecond)) return perSecond
  throw new MillraceError(
    'DEFINITION_INVALID',
    `${what} has rateLimit: { perSecond: ${String(perSecond)} }, which is not a number above 0.`,
  )
}

function isSink(sink: unknown): boolean {
  return typeof sink === 'function' || (typeof sink === 'object' && sink !== null && 'relay' in sink)
}

function sourcesOf(
  context: StreamsContext,
  name: string,
  source: AgentSource,
): readonly (AnyTopic | AnyChannel | DueReader)[] {
  if (isPlanned(source)) return [source]
  if (isDue(source)) return [new DueReader(name, source)]
  if (isList(source))
    return source.map((each) => {
      if (isPlanned(each)) return each
      if (isDue(each)) return new DueReader(name, each)
      throw noSource(name, each)
    })
  if (typeof source !== 'object' || source === null) throw noSource(name, source)
  return [createTopic(context, `${context.appId}-${name}`, source)]
}

function isPlanned(source: unknown): source is AnyTopic | AnyChannel {
  return typeof source === 'object' && source !== null && 'planFor' in source
}

function isDue(source: unknown): source is DueSource<unknown, unknown> {
  return typeof source === 'object' && source !== null && 'due' in source && 'readBy' in source
}

function noSource(agent: string, given: unknown): MillraceError {
  const hint = typeof given === 'string' ? ` Declare the topic: app.topic(${JSON.stringify(given)}, { value: … }).` : ''
  return new MillraceError(
    'DEFINITION_INVALID',
    `Agent "${agent}" cannot read from ${describe(given)}; its source is a topic, a channel, the closed windows of a table, a list of them, or the { key, value } of a topic of its own.${hint}`,
  )
}

function describe(given: unknown): string {
  if (typeof given === 'string') return JSON.stringify(given)
  if (typeof given === 'function') return 'a function'
  return typeof given === 'object' && given !== null ? 'an object that is no topic of this app' : String(given)
}

function isList(source: AgentSource): source is readonly AnySource[] {
  return Array.isArray(source)
}
