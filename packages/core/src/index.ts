/// <reference types="node" preserve="true" />
export type { Clock, Scheduled } from './contracts/clock.ts'
export type { Codec } from './contracts/codec.ts'
export type {
  CommandArguments,
  CommandColors,
  CommandDefinition,
  CommandOutput,
  CommandParameter,
  CommandParameters,
  CommandProgress,
  CommandSpec,
} from './contracts/app-command.ts'
export type {
  AgentDescription,
  AppDescription,
  TableDescription,
  TopicDescription,
} from './contracts/app-description.ts'
export {
  commandLine,
  type AgentLag,
  type AppTopic,
  type CommandLineApp,
  type CommandLineClient,
  type CommandLineMessage,
  type CommandLineRuntime,
  type HasCommandLine,
  type JobDescription,
  type OtherStore,
  type RecordsRequest,
  type ResetPlan,
  type ResetRequest,
  type ResetTopic,
  type RunningPlace,
  type ShownRecord,
  type SkipPlan,
  type TableReading,
  type TableRows,
  type TopicRole,
  type WorkerDescription,
} from './contracts/command-line.ts'
export type {
  AgentDeadLetters,
  DeadLetter,
  DeadLetterFailure,
  DeadLetterListing,
  DeadLetterPlace,
  DeadLetters,
  DeadLetterSource,
  DeadLetterSummary,
  RefusedReplay,
  ReplayOutcome,
  ShownBytes,
} from './contracts/dead-letters.ts'
export type { AssignmentView, TaskOwner, TaskView } from './contracts/assignment-view.ts'
export type { GroupAssignment, GroupAssignor, GroupMember, GroupView } from './contracts/assignor.ts'
export type { Given, Immutable } from './contracts/immutable.ts'
export type { Candidate, Leadership } from './contracts/leadership.ts'
export type { Logger } from './contracts/logger.ts'
export type {
  OutgoingRecord,
  RawHeaders,
  RawRecord,
  RecordBatch,
  BrokenBatch,
  RecordMetadata,
  TopicPartition,
} from './contracts/record.ts'
export type { JobState, JobView, LastRun, RunOutcome, RunResult } from './contracts/job-view.ts'
export type { KeyLocation, RoutedTable, Router } from './contracts/router.ts'
export type {
  AgentHistograms,
  AgentStats,
  AppStats,
  DelayStats,
  ErrorStats,
  FlowStats,
  HandlingTime,
  PartStats,
  RebalanceStats,
  RecoveryStats,
  SiteAgentStats,
  SiteFlowStats,
  SiteJobStats,
  SiteSourceStats,
  SiteStats,
  SiteTableStats,
  SourceStats,
  TableStats,
  WaitingStats,
  WorkerStats,
  WorkerStatus,
} from './contracts/stats.ts'
export type {
  Effect,
  SubscriptionQueue,
  HandedOutEvent,
  CurrentEvent,
  Readable,
  SendRequest,
} from './contracts/event.ts'
export type { ServeOptions, WebDriver, WebServer, WebServerLimits } from './contracts/web-driver.ts'
export type { ContextStorage, ProcessingContext } from './contracts/processing-context.ts'
export { silentSensor, type Sensor } from './contracts/sensor.ts'
export type {
  Checkpoint,
  RangeOptions,
  Row,
  StoreCapabilities,
  StoreChange,
  StoreDriver,
  StorePartition,
} from './contracts/store.ts'
export type { OpenState, OpenStateOptions, SendReceipt, Task, StateDefinition, TaskRef } from './contracts/task.ts'
export type {
  Admin,
  AssignmentChange,
  CommitOffset,
  Consumer,
  ConsumerOptions,
  DelayedPartition,
  Isolation,
  BrokenBatches,
  ReaderOptions,
  CommittedOptions,
  LostPosition,
  MemberInfo,
  PartitionOffsets,
  PartitionPosition,
  Producer,
  Reader,
  RebalanceListener,
  SendOptions,
  SendOutcome,
  TopicInfo,
  TopicSettings,
  TopicSpec,
  TransactionalProducer,
  Transport,
  TransportCapabilities,
  TransportDeps,
} from './contracts/transport.ts'
export type {
  ClientContext,
  SubscriptionSpec,
  Topology,
  TopicDeclaration,
  WaitForTask,
  WorkerContext,
  WorkerPart,
} from './contracts/worker-context.ts'
export { bytesCodec } from './lib/codecs/bytes-codec.ts'
export { canonicalJson } from './lib/codecs/canonical-json.ts'
export type { CodecSpec, InputOf, NamedCodecs, OutputOf } from './lib/codecs/codec-spec.ts'
export { json, jsonCodec, type KeyableCodec } from './lib/codecs/json-codec.ts'
export { keyFromText } from './lib/codecs/key-from-text.ts'
export { numberCodec } from './lib/codecs/number-codec.ts'
export { resolveCodec, type CodecRole } from './lib/codecs/resolve-codec.ts'
export { showBytes } from './lib/codecs/show-bytes.ts'
export { stringCodec } from './lib/codecs/string-codec.ts'
export { decodeUtf8, encodeUtf8 } from './lib/codecs/utf8.ts'
export { commandDefinition } from './lib/commands/command-definition.ts'
export { DOCS_ADDRESS } from './lib/errors/docs-address.ts'
export { errorTable, type ErrorCode, type ErrorEntry } from './lib/errors/error-table.ts'
export { isChangeOfFrozen } from './lib/errors/is-change-of-frozen.ts'
export { isMillraceError, MillraceError } from './lib/errors/millrace-error.ts'
export { RecordRefusedError } from './lib/errors/record-refused-error.ts'
export { errorText, toError } from './lib/errors/to-error.ts'
export { callerFile, packageDirectory, packageVersion } from './lib/files/caller-file.ts'
export { makeDirectory, PRIVATE_FILE } from './lib/files/make-directory.ts'
export { bodyStream } from './lib/http/body-stream.ts'
export { serveNodeHttp } from './lib/http/serve-node-http.ts'
export { writeResponse } from './lib/http/write-response.ts'
export { backoffMs, type Backoff } from './lib/lifecycle/backoff.ts'
export { deferred, type Deferred } from './lib/lifecycle/deferred.ts'
export { raceAbort } from './lib/lifecycle/race-abort.ts'
export { withTimeout } from './lib/lifecycle/with-timeout.ts'
export { plainLogger } from './lib/log/plain-logger.ts'
export { checkOptions, type OptionNames } from './lib/names/check-options.ts'
export {
  deadLetterTopic,
  mergedSubscription,
  repartitionTopic,
  repliesTopic,
  replayLedgerTopic,
  schedulerTopic,
} from './lib/names/internal-topics.ts'
export { kebabCase } from './lib/names/kebab-case.ts'
export { nearestName } from './lib/names/nearest-name.ts'
export { validateName } from './lib/names/validate-name.ts'
export { murmur2 } from './lib/partitioning/murmur2.ts'
export { partitionForKey } from './lib/partitioning/partition-for-key.ts'
export { spreadPartitioner, type SpreadOptions, type SpreadPartitioner } from './lib/partitioning/spread-partitioner.ts'
export { NO_HEADERS } from './lib/records/no-headers.ts'
export { partitionKey } from './lib/records/partition-key.ts'
export { manualClock, type ManualClock, type ManualClockOptions } from './lib/time/manual-clock.ts'
export { systemClock } from './lib/time/system-clock.ts'
export { TIME_BOUNDS_MS, TimeHistogram, type TimeFigures } from './lib/time/time-histogram.ts'
export type { AppSettings, ResolvedSettings } from './lib/settings/app-settings.ts'
export { describeSettings, unknownEnvironment, type SettingDescription } from './lib/settings/describe-settings.ts'
export { resolveSettings, type SettingSources } from './lib/settings/resolve-settings.ts'
export { settingDeclarations, type SettingName } from './lib/settings/setting-declarations.ts'
export type {
  SettingTypes,
  StoreFactory,
  TokenProvider,
  TransportFactory,
  WebDriverFactory,
} from './lib/settings/setting-types.ts'
export { formatByteSize, parseByteSize, type ByteSize } from './lib/units/byte-size.ts'
export { duration, formatDuration, parseDuration, type Duration } from './lib/units/duration.ts'
export { parseBrokerUrl, type BrokerUrl } from './lib/urls/broker-url.ts'
export { redactUrl } from './lib/urls/redact-url.ts'
export { parseStoreUrl, type StoreUrl } from './lib/urls/store-url.ts'
