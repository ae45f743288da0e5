/// <reference types="node" preserve="true" />
export {
  Agent,
  type Askable,
  type AskManyOptions,
  type AskOptions,
  type AnyAgent,
  type NeverYields,
} from './lib/agents/agent.ts'
export type { AgentCounts } from './lib/agents/agent-counters.ts'
export type {
  AgentHandler,
  AgentOptions,
  AgentSource,
  HandlerResult,
  SourceKey,
  SourceKeyInput,
  SourceValue,
  SourceValueInput,
} from './lib/agents/agent-options.ts'
export { agentsPart, type AgentsPart, type AgentsPartOptions } from './lib/agents/agents-part.ts'
export { type AgentOf, createAgent } from './lib/agents/create-agent.ts'
export {
  DEFAULT_ERROR_POLICY,
  type ErrorAction,
  type ErrorPolicy,
  type FailedEvent,
  type LastResort,
  type OnError,
  type RetryOptions,
} from './lib/agents/error-policy.ts'
export { AskFailedError } from './lib/asking/ask-failed-error.ts'
export { ReplyInboxes, type ReplyInboxesOptions } from './lib/asking/reply-inboxes.ts'
export { type AnyChannel, Channel, type MessageToSend } from './lib/channels/channel.ts'
export { createChannel } from './lib/channels/create-channel.ts'
export { createDeadLetters, type DeadLettersDeps } from './lib/dead-letters/app-dead-letters.ts'
export { Event } from './lib/events/event.ts'
export type { HeaderValues } from './lib/events/header-text.ts'
export type { ValuesOf } from './lib/streams/plain-steps.ts'
export { type Branches, type Mergeable, Stream } from './lib/streams/stream.ts'
export type {
  BranchPredicate,
  EventsAreNoValues,
  GroupByOptions,
  SendsValues,
  TakeOptions,
} from './lib/streams/stream-options.ts'
export type { StreamsDeps } from './lib/streams-deps.ts'
export { createTopic, type TopicOf } from './lib/topics/create-topic.ts'
export { type AnyTopic, Topic } from './lib/topics/topic.ts'
export type {
  KeyInput,
  KeyOutput,
  RecordToSend,
  TopicOptions,
  ValueInput,
  ValueOutput,
} from './lib/topics/topic-options.ts'
export type { EventTarget, Sink, ValueTarget } from './lib/topics/value-target.ts'
