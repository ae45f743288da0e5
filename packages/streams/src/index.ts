/// <reference types="node" preserve="true" />
export {
  Agent,
  type Askable,
  type AskManyOptions,
  type AskOptions,
  type AnyAgent,
  type NeverYields,
} from './lib/agents/agent.ts'
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
export { agentsPart, type AgentsPart, type AgentsPartOptions, deadLettersOf } from './lib/agents/agents-part.ts'
export { createRetries, type RetriesOptions as RetriesDeps } from './lib/retries/app-retries.ts'
export type { RetryDelays } from './lib/errors/retry-plan.ts'
export { type AgentOf, createAgent } from './lib/agents/create-agent.ts'
export {
  DEFAULT_ERROR_POLICY,
  type ErrorAction,
  type ErrorPolicy,
  type FailedEvent,
  type LastResort,
  type OnError,
  type RetryOptions,
} from './lib/errors/error-policy.ts'
export { AskFailedError } from './lib/asking/pending-replies.ts'
export { ReplyInboxes, type ReplyInboxesOptions } from './lib/asking/reply-inbox.ts'
export { type AnyChannel, Channel, createChannel, type MessageToSend } from './lib/channels/channel.ts'
export { createDeadLetters, type DeadLettersOptions as DeadLettersDeps } from './lib/dead-letters/app-dead-letters.ts'
export { declareStreams, type StreamDeclarations } from './lib/declare-streams.ts'
export { Event } from './lib/events/event.ts'
export type { HeaderValues } from './lib/events/headers.ts'
export { currentTrace } from './lib/events/trace-headers.ts'
export type { AgentCounts } from './lib/events/agent-context.ts'
export type { EventTarget, Sink, ValueTarget } from './lib/events/targets.ts'
export type { ValuesOf } from './lib/streams/steps.ts'
export { Stream } from './lib/streams/stream.ts'
export type { EmitWhen } from './lib/streams/window-emits.ts'
export type {
  Aggregation,
  SessionAggregation,
  SessionStream,
  WindowedResults,
  WindowedStream,
} from './lib/streams/windowed-stream.ts'
export type {
  Branches,
  BranchPredicate,
  EventsAreNoValues,
  GroupByOptions,
  MergeOptions,
  Mergeable,
  SendsValues,
  TakeOptions,
} from './lib/streams/stream-options.ts'
export type { StreamWindow, StreamWindowOptions, WindowResult } from './lib/stream-windows.ts'
export type { StreamJoinKind } from './lib/joins/join-rules.ts'
export { StreamStates } from './lib/states/stream-states.ts'
export type { DedupeOptions, SuppressOptions } from './lib/streams/kept-steps.ts'
export { JoinStates } from './lib/joins/join-states.ts'
export type { LeftValue, RightValue, StreamJoinOptions } from './lib/streams/stream-join.ts'
export type {
  JoinedGlobalTable,
  JoinedPartitions,
  JoinedRow,
  JoinedTable,
  TableJoinKind,
  TableJoinOptions,
} from './lib/stream-joins.ts'
export type { StreamsContext as StreamsDeps } from './lib/streams-context.ts'
export { createRepartitionTopic, createTopic, type TopicOf } from './lib/topics/create-topic.ts'
export { type AnyTopic, Topic } from './lib/topics/topic.ts'
export type {
  KeyInput,
  KeyOutput,
  RecordToSend,
  TopicOptions,
  ValueInput,
  ValueOutput,
} from './lib/topics/topic-options.ts'
