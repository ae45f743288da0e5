/// <reference types="node" preserve="true" />
export { collectLog, type CollectedLog, type LoggedLine } from './lib/collected-log.ts'
export type { RecordOf, Sendable, SendableTopic } from './lib/sendable.ts'
export type { ReadableTopic, SentRecord } from './lib/sent-records.ts'
export { seed, type KeptTable, type Seed, type SeedableTable } from './lib/seeds.ts'
export { startApp, type AppProcess } from './lib/start-app.ts'
export type { RawSend } from './lib/raw-send.ts'
export { TestApp, testApp, type TestAppOptions, type TestWorker } from './lib/test-app.ts'
export { FAULTS, type FaultName } from './simulation/fault-names.ts'
export { numberedRecords, type NumberedOptions, type RequestTopic } from './simulation/input-feed.ts'
export { simulate, SimulationError } from './simulation/simulate.ts'
export type {
  SimulatedApp,
  SimulatedInput,
  SimulatedRecord,
  SimulatedRun,
  SimulatedWorld,
  SimulationFaults,
  SimulationOptions,
  SimulationReport,
} from './simulation/simulation-options.ts'
