/// <reference types="node" preserve="true" />
export type { Clock, Scheduled } from './contracts/clock.ts'
export type {
  Codec,
  CodecEnvironment,
  CodecSource,
  CodecSources,
  CodecUse,
  Given,
  Immutable,
  TopicCodec,
} from './contracts/codec.ts'
export { type Logger, plainLogger } from './contracts/logger.ts'
export {
  type OutgoingRecord,
  type RawHeaders,
  type RawRecord,
  type RecordBatch,
  type BrokenBatch,
  type RecordMetadata,
  type TopicPartition,
  NO_HEADERS,
  byPartition,
  headerNamed,
  partitionsOf,
  partitionKey,
  type CommitOffset,
} from './contracts/record.ts'
export { silentSensor, type Sensor } from './contracts/sensor.ts'
export type { CountedSeries, MetricLabels, MetricSample, MetricsWriter } from './contracts/metrics.ts'
export type {
  EventEnd,
  EventTrace,
  SendTrace,
  TracedEvent,
  TracedForward,
  TracedJob,
  TracedSend,
  Tracing,
} from './contracts/tracing.ts'
export { bytesCodec, numberCodec, stringCodec, decodeUtf8, encodeUtf8 } from './lib/codecs/plain-codecs.ts'
export { canonicalJson, json, jsonCodec, type KeyableCodec } from './lib/codecs/json-codec.ts'
export {
  type CodecSpec,
  type InputOf,
  type NamedCodecs,
  type OutputOf,
  keyFromText,
  resolveCodec,
  type CodecRole,
} from './lib/codecs/resolve-codec.ts'
export { parseRegistryUrl, type RegistryUrl } from './lib/urls/registry-url.ts'
export { TopicCodecs } from './lib/codecs/topic-codecs.ts'
export { grouped } from './lib/collections/grouped.ts'
export {
  asFields,
  asInteger,
  asList,
  asMap,
  asSecret,
  asText,
  asTexts,
  mustBe,
  optional,
  readFields,
} from './lib/json/read-fields.ts'
export { jsonText } from './lib/codecs/json-text.ts'
export { showBytes } from './lib/codecs/show-bytes.ts'
export {
  CodecWaitsError,
  codecWait,
  isChangeOfFrozen,
  isMillraceError,
  MillraceError,
  RecordRefusedError,
  errorText,
  toError,
  closedError,
} from './lib/errors/millrace-error.ts'
export { refuseNewer, assertRowFormat, ROW_FORMAT_HEADER } from './lib/errors/format-version.ts'
export { errorTable, type ErrorCode, type ErrorEntry } from './lib/errors/error-table.ts'
export { callerFile, packageDirectory, packageVersion } from './lib/files/caller-file.ts'
export { hasSystemCode, makeDirectory, PRIVATE_FILE } from './lib/files/make-directory.ts'
export {
  backoffMs,
  type Backoff,
  deferred,
  type Deferred,
  endOfTurn,
  raceAbort,
  withTimeout,
  withinLimit,
  whenAborted,
} from './lib/lifecycle/promises.ts'
export { Listeners } from './lib/lifecycle/listeners.ts'
export { checkOptions, didYouMean, type OptionNames, nearestName } from './lib/names/check-options.ts'
export { DefinedNames, type Named } from './lib/names/defined-names.ts'
export {
  deadLetterTopic,
  dueSubscription,
  mergedSubscription,
  repartitionTopic,
  repliesTopic,
  replayLedgerTopic,
  retryState,
  schedulerTopic,
  kebabCase,
  validateName,
} from './lib/names/names.ts'
export { manualClock, type ManualClock, type ManualClockOptions } from './lib/time/manual-clock.ts'
export { systemClock } from './lib/time/system-clock.ts'
export { TIME_BOUNDS_MS, TimeHistogram, type TimeStats } from './lib/time/time-histogram.ts'
export type { AppSettings, ResolvedSettings } from './lib/settings/app-settings.ts'
export { describeSettings, unknownEnvironment, type SettingDescription } from './lib/settings/describe-settings.ts'
export { requireProductionSettings, resolveSettings, type SettingSources } from './lib/settings/resolve-settings.ts'
export { secretsOf, secretsOfEnvironment } from './lib/settings/setting-names.ts'
export { runningEnvironment } from './lib/settings/running-environment.ts'
export { type Surroundings, surroundingsOf } from './lib/settings/surroundings.ts'
export { settingDeclarations, type SettingName } from './lib/settings/setting-declarations.ts'
export type {
  PemSource,
  SettingTypes,
  StoreFactory,
  TokenProvider,
  TransportFactory,
  WebDriverFactory,
} from './lib/settings/setting-types.ts'
export {
  isSecretName,
  type Redact,
  RedactingLogger,
  redactor,
  redactText,
  shownHeaders,
} from './lib/redaction/redact.ts'
export { formatByteSize, parseByteSize, type ByteSize } from './lib/units/byte-size.ts'
export {
  duration,
  formatDuration,
  parseDuration,
  readDuration,
  wholeMilliseconds,
  type Duration,
} from './lib/units/duration.ts'
export { shownValue } from './lib/errors/shown-value.ts'
export {
  isLocalBroker,
  parseBrokerUrl,
  type BrokerUrl,
  redactUrl,
  parseStoreUrl,
  type StoreUrl,
} from './lib/urls/urls.ts'
export { parsePeerList, type PeerList } from './lib/urls/peer-list.ts'
