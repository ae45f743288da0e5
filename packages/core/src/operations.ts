/// <reference types="node" preserve="true" />
export type { SchemaAdmin, SchemaCheck } from './contracts/schema-admin.ts'
export {
  type CommandArguments,
  type CommandColors,
  type CommandDeclarations,
  type CommandDefinition,
  type CommandOutput,
  type CommandParameter,
  type CommandParameters,
  type CommandProgress,
  type CommandSpec,
  declareCommands,
} from './operations/app-command.ts'
export type {
  AgentDescription,
  AppDescription,
  TableDescription,
  TopicDescription,
  JobState,
  JobView,
  LastRun,
  RunOutcome,
  RunResult,
} from './operations/app-description.ts'
export {
  commandLine,
  type CommandLineApp,
  type CommandLineClient,
  type CommandLineMessage,
  type CommandLineRuntime,
  type HasCommandLine,
  type JobDescription,
  type OtherStore,
  type RecordsRequest,
  type RowsRequest,
  type RunningEnvironment,
  type ShownRecord,
  type TableReading,
  type WindowsRequest,
  type TableRows,
  type WorkerDescription,
} from './operations/command-line.ts'
export type {
  AgentLag,
  AppTopic,
  MissingTopic,
  ResetPlan,
  ResetRequest,
  ResetTopic,
  SkipPlan,
  TopicRole,
} from './operations/app-topics.ts'
export type { AgentRetries, Retries, RetryListing, WaitingEventSummary } from './operations/retries.ts'
export type {
  AgentDeadLetters,
  DeadLetter,
  DeadLetterDue,
  DeadLetterFailure,
  DeadLetterListing,
  DeadLetterLocation,
  DeadLetters,
  DeadLetterSource,
  DeadLetterSummary,
  FirstFailure,
  RefusedReplay,
  ReplayOutcome,
  ShownBytes,
} from './operations/dead-letters.ts'
export type { Backup, LocalData, LogTransfer } from './operations/local-data.ts'
export type { SiblingProcesses } from './operations/sibling-processes.ts'
