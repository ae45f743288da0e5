/// <reference types="node" preserve="true" />
export { duration, isMillraceError, json, MillraceError, type ErrorCode } from '@millrace/core'
export type { AppSettings, ByteSize, Clock, Duration, Logger, Scheduled, Sensor, TokenProvider } from '@millrace/core'
export type { Codec, CodecSpec, Given, Immutable, InputOf, KeyableCodec, Named, OutputOf } from '@millrace/core'
export type { RawHeaders, RecordMetadata, TopicPartition } from '@millrace/core'
export type { ShownBytes } from '@millrace/core/operations'
export type { SendReceipt } from '@millrace/worker'
export type { StoreFactory, TransportFactory, WebDriverFactory } from '@millrace/core'
export type {
  CommandArguments,
  CommandColors,
  CommandLineApp,
  CommandOutput,
  CommandParameter,
} from '@millrace/core/operations'
export type { Backup, CommandParameters, CommandProgress, CommandSpec, HasCommandLine } from '@millrace/core/operations'
export type { Surroundings } from '@millrace/core'
export type { CommandDeclarations } from '@millrace/core/operations'
export type {
  AgentDeadLetters,
  DeadLetter,
  DeadLetterFailure,
  DeadLetterListing,
  DeadLetterLocation,
} from '@millrace/core/operations'
export type {
  DeadLetters,
  DeadLetterSource,
  DeadLetterSummary,
  RefusedReplay,
  ReplayOutcome,
} from '@millrace/core/operations'
export type {
  AgentStats,
  DueSource,
  HandlingTime,
  TableStats,
  TimerStats,
  WindowStats,
  WorkerStats,
} from '@millrace/worker'
export type { CountedSeries, MetricLabels, MetricSample, MetricsWriter } from '@millrace/core'
export type { JobState, JobView, LastRun, RunOutcome, RunResult } from '@millrace/core/operations'
export type { Topic, TopicOf, TopicOptions, RecordToSend, KeyInput, KeyOutput, ValueInput } from '@millrace/streams'
export type { ValueOutput, ValueTarget, HeaderValues, EventTarget, Sink } from '@millrace/streams'
export { AskFailedError, type Askable, type AskManyOptions, type AskOptions, type NeverYields } from '@millrace/streams'
export type {
  Agent,
  AgentCounts,
  AgentHandler,
  AgentOf,
  AgentOptions,
  AgentSource,
  HandlerResult,
} from '@millrace/streams'
export type { SourceKey, SourceKeyInput, SourceValue, SourceValueInput } from '@millrace/streams'
export type { Channel, Event, EventsAreNoValues, MessageToSend, SendsValues, ValuesOf } from '@millrace/streams'
export type { JoinedGlobalTable, JoinedPartitions, JoinedRow, JoinedTable, MergeOptions } from '@millrace/streams'
export type { LeftValue, RightValue, StreamJoinKind, StreamJoinOptions } from '@millrace/streams'
export type { TableJoinKind, TableJoinOptions } from '@millrace/streams'
export type {
  Aggregation,
  EmitWhen,
  SessionAggregation,
  SessionStream,
  StreamWindow,
  StreamWindowOptions,
  WindowResult,
} from '@millrace/streams'
export type { StreamDeclarations, WindowedResults, WindowedStream } from '@millrace/streams'
export type { Branches, BranchPredicate, GroupByOptions, Mergeable, Stream, TakeOptions } from '@millrace/streams'
export type { ErrorAction, FailedEvent, LastResort, OnError, RetryDelays, RetryOptions } from '@millrace/streams'
export type {
  Fallback,
  GivenOf,
  KeyOf,
  ReadOptions,
  RoundTrip,
  TableOf,
  TableOptions,
  TableTopic,
  ValueOf,
} from '@millrace/tables'
export type {
  ChangeTopic,
  JoinedSide,
  JoinTablesOptions,
  LeftRow,
  ReferredTable,
  RightRow,
  TablesJoinKind,
} from '@millrace/tables'
export type { AppGlobalTable as GlobalTable, AppTable as Table, TableDeclarations } from '@millrace/tables'
export type { ClosedWindow, KeyWindows, LateSink, TimeRange, Window, WindowedTable } from '@millrace/tables'
export type { FiredTimer, KeyTimers, KeyTimersOptions, PendingTimer } from '@millrace/tables'
export type { SessionOptions, WindowOptions, WindowValue, WindowWriteOptions } from '@millrace/tables'
export type { GlobalSetTable, GlobalTableOf, GlobalTableOptions, SetTable, SetTableOptions } from '@millrace/tables'
export { AppScheduler, type CatchUp, type CronJob, type CrontabOptions, type Job } from '@millrace/scheduler'
export type {
  JobContext,
  JobDeclarations,
  JobFunction,
  Overlap,
  TaskJob,
  TaskOptions,
  TimerJob,
  TimerOptions,
} from '@millrace/scheduler'
export { PageError, View, type AnswerOptions, type AnyParams, type JsonObject, type KeyHandler } from '@millrace/web'
export type {
  ForwardedRequest,
  PageAnswer,
  PageContext,
  PageHandler,
  ParamsWith,
  PathParams,
  RoutableTable,
} from '@millrace/web'
export type { PageDeclarations, ViewClass, ViewFactory, ViewSource } from '@millrace/web'
export type { AppEvents } from './lib/app-events.ts'
export type { AppEnvironment, AppRuntime, Launch, RunningWorker } from './lib/app-runtime.ts'
export { type App, createApp, runtimeOf } from './lib/app.ts'
