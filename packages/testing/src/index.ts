export { collectLog, type CollectedLog, type LoggedLine } from './lib/collected-log.ts'
export type { RecordOf, Sendable, SendableTopic } from './lib/sendable.ts'
export type { ReadableTopic, SentRecord } from './lib/sent-records.ts'
export { TestApp, testApp, type RawSend, type TestAppOptions, type TestWorker } from './lib/test-app.ts'
