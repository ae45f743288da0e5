import { kafkaDeclarations, webDeclarations } from './connection-declarations.ts'

/** Settings of the app itself. */
const appDeclarations = {
  id: { type: 'name', required: true, help: 'Name of the app: its consumer group, and the prefix of its topics.' },
  broker: {
    type: 'broker',
    default: 'embedded:',
    help: 'Where records are kept: kafka://host:port[,host:port], embedded:, embedded:./directory or memory:.',
  },
  store: {
    type: 'store',
    default: 'memory:',
    help: 'Where tables keep their state: memory:, lmdb: or lmdb:./directory.',
  },
  schemaRegistry: {
    type: 'registry',
    secret: true,
    help: 'URL of the schema registry for codecs of @millrace/schema-registry, with user and password where it asks for them: http://registry:8081, https://user:password@host/path.',
  },
  processingGuarantee: {
    type: 'choice',
    choices: ['at-least-once', 'exactly-once'],
    default: 'at-least-once',
    help: 'What a crash may do to an event: handle it again, or never show its effects twice.',
  },
  dataDirectory: {
    type: 'text',
    aliases: ['datadir'],
    help: 'Directory for the embedded broker and stores without one of their own; .millrace beside the package.json of the app file when unset.',
  },
  instanceId: {
    type: 'name',
    derived: 'the id that the store keeps with its rows (lmdb:), none with memory:',
    help: "Name of this worker for static membership (Kafka's group.instance.id): a worker that was killed and comes back within sessionTimeout gets its partitions back without a rebalance.",
  },
  processes: {
    type: 'integerOrAuto',
    least: 1,
    most: 256,
    default: 1,
    help: "Processes that the worker command runs on this machine, each a worker of its own with one core for JavaScript. With 'auto', as many as the process has processor cores, within the limits of its container. They share web.port.",
  },
  leaveOnStop: {
    type: 'flag',
    default: true,
    help: 'Leave the group when the worker is stopped, so that others take over its partitions at once. If off, with an instanceId, it keeps its membership for sessionTimeout: if it returns by then nothing moves, but until then its partitions wait. A worker that fails leaves in any case.',
  },
  freeze: {
    type: 'flag',
    default: true,
    help: 'Freeze the values that tables return and take, so that a change in place throws at once instead of being lost at the next restart. Costs about a tenth of a microsecond for each object written.',
  },
  standbys: {
    type: 'integer',
    least: 0,
    most: 100,
    default: 0,
    help: 'Warm copies of each table partition on other workers, unless the table sets its own: a worker that takes over partitions then reads only the end of their changelogs.',
  },
  rack: {
    type: 'text',
    derived: "the machine's host name",
    help: 'What this worker may be lost together with, such as an availability zone: standbys are kept in another rack than the worker of their partition, as long as there is one.',
  },
  acceptableRecoveryLag: {
    type: 'integer',
    least: 0,
    default: 10_000,
    help: "The most changelog rows that a worker may lack of a table partition when it takes it over. With more it first makes a copy while the other worker continues (Kafka Streams' acceptable.recovery.lag).",
  },
  maxWarmUps: {
    type: 'integer',
    least: 1,
    default: 16,
    help: "The most copies that workers make at a time of partitions that will move to them, besides standbys (Kafka Streams' max.warmup.replicas). With more copies, partitions move in fewer rebalances.",
  },

  // the commit cycle
  commitInterval: {
    type: 'duration',
    derived: "'1s', or '100ms' when exactly once",
    help: 'Time from one commit of a task to the next.',
  },
  transactionTimeout: {
    type: 'duration',
    default: '60s',
    help: 'Under exactly once, the time after which the broker aborts a transaction.',
  },

  deliveryTimeout: {
    type: 'duration',
    default: '2m',
    help: 'Time after which a partition that accepts no records makes the worker not ready, and is logged with the tasks that wait for it. Their records are sent when it accepts them again.',
  },

  // the group
  sessionTimeout: {
    type: 'duration',
    default: '10s',
    help: 'Time without a heartbeat after which a worker loses its partitions.',
  },
  heartbeatInterval: {
    type: 'duration',
    derived: "a third of sessionTimeout, at most '3s'",
    help: 'How often a worker tells the group that it is alive.',
  },
  rebalanceTimeout: { type: 'duration', default: '60s', help: 'How long the group waits for a worker in a rebalance.' },
  drainTimeout: {
    type: 'duration',
    default: '10s',
    help: 'How long events in flight may take to finish in a rebalance.',
  },
  shutdownTimeout: {
    type: 'duration',
    default: '25s',
    help: 'How long a stop may take in all, whatever hangs. Events in flight have all of it except 8 s (at most 40 percent), which are reserved for the last commit, leaving the group and closing. Unfinished work is done again.',
  },
  connectTimeout: {
    type: 'duration',
    default: '60s',
    help: 'How long a worker tries to reach its broker for the first time.',
  },
  stallAfter: {
    type: 'duration',
    default: '5m',
    help: 'Time after which a partition without progress makes the worker not ready.',
  },
  restartAfter: {
    type: 'duration',
    help: 'Time after which a partition without progress makes /health/live fail, so that the supervisor restarts the worker; only if it has records and neither broker nor group holds them back. Must be longer than any handler may take. Off if unset.',
  },

  // event time
  maxFutureSkew: {
    type: 'duration',
    default: '1d',
    help: 'How far the time of an event may be ahead of the clock: one that is further ahead is handled, but moves no watermark.',
  },
  idleAfter: {
    type: 'durationOrFalse',
    default: '30s',
    help: 'Time after which a partition at its end no longer holds back watermarks. When all are idle and event time was close to the clock, it follows the clock at this distance. With false, only events advance event time.',
  },
  alignWait: {
    type: 'duration',
    default: 0,
    help: 'How long an event waits for earlier ones that are not on the broker yet, if events of several topics are handed out by time, for joins and ordered merges.',
  },

  // topics
  offsetReset: {
    type: 'choice',
    choices: ['earliest', 'latest'],
    default: 'earliest',
    help: 'Where the app starts in a partition that it has never committed.',
  },
  onOffsetLost: {
    type: 'choice',
    choices: ['stop', 'earliest'],
    default: 'stop',
    help: 'What happens when records were deleted before they were read: stop, or continue with the remaining records.',
  },
  isolation: {
    type: 'choice',
    choices: ['read-committed', 'read-uncommitted'],
    default: 'read-committed',
    help: "Whether records of open or aborted transactions are read too (Kafka's isolation.level). Changelogs and global tables are always read committed, and exactly once allows nothing else.",
  },
  onBatchError: {
    type: 'choice',
    choices: ['stop', 'deadLetter', 'skip'],
    default: 'stop',
    help: 'What happens when records of a source topic cannot be read (damaged, a compression that is not installed, larger than maxBatchBytes): stop, keep their bytes in the topic {app id}-__broken-batches and continue, or just continue. millrace skip skips one batch.',
  },
  'topics.create': {
    type: 'flag',
    default: true,
    help: 'Create topics that are missing: those of the app file, changelogs, repartition and dead letter topics and all others of its own. If off, the app creates none, and reports missing topics with the commands that create them.',
  },
  topicPartitions: {
    type: 'integer',
    least: 1,
    most: 100_000,
    default: 8,
    help: 'Partition count of topics that the app creates.',
  },
  replicationFactor: {
    type: 'integer',
    least: -1,
    most: 100,
    default: -1,
    help: "Replicas of topics that the app creates; -1 is the broker's default.",
  },
  repartitionPurgeInterval: {
    type: 'duration',
    default: '30s',
    help: 'How often committed records are deleted from repartition topics; 0 keeps them.',
  },

  // bounds
  maxRecordBytes: { type: 'size', default: '1mb', help: 'Largest record that send accepts.' },
  maxBatchBytes: {
    type: 'size',
    default: '64mb',
    help: 'The most bytes to which one batch read from Kafka may unpack; onBatchError decides about a larger one.',
  },
  maxBufferedBytes: {
    type: 'size',
    default: '32mb',
    help: 'The most bytes of records fetched and not yet handed out, including their objects, for the whole worker.',
  },
  maxBufferedEvents: {
    type: 'integer',
    least: 1,
    default: 4096,
    help: 'The most events sorted to the instances of an agent and not yet handed out.',
  },
  maxUncommitted: {
    type: 'integer',
    least: 1,
    default: 50_000,
    help: 'The most events of a partition handed out and not yet committed; then the partition pauses.',
  },
  maxUncommittedBytes: {
    type: 'size',
    default: '64mb',
    help: 'The most bytes of a partition handed out and not yet committed; then the partition pauses.',
  },
  maxPendingSendBytes: {
    type: 'size',
    default: '8mb',
    help: 'The most bytes of sends that the broker has not acknowledged, for the whole worker; then no further event is handed out.',
  },
  maxEventBytes: {
    type: 'size',
    default: '16mb',
    help: "The most bytes of one event's sends that are held back until it is finished; further ones are sent at once. Exactly once, the task is then not committed until the event finishes, which must be within transactionTimeout.",
  },
  cacheBytes: {
    type: 'size',
    default: '64mb',
    help: 'The most bytes of decoded table rows in memory, for the whole worker, and as much again of changed rows that wait for their commit. Half of it causes a commit at once; all of it holds back further events until a commit has stored some.',
  },

  // agents that say nothing else
  'agent.concurrency': {
    type: 'integer',
    least: 1,
    most: 10_000,
    default: 1,
    help: 'Instances of an agent on each worker.',
  },
  'agent.retries': {
    type: 'integer',
    least: 0,
    default: 3,
    help: 'How often a failed event is retried.',
  },
  'agent.backoff': {
    type: 'duration',
    default: '100ms',
    help: 'Wait before the first retry; each further one waits twice as long.',
  },
  'agent.maxBackoff': { type: 'duration', default: '10s', help: 'Longest wait between retries.' },
  'agent.askTimeout': { type: 'duration', default: '30s', help: 'How long ask, map and join wait for a reply.' },
} as const

/**
 * Every setting of an app, declared once: types, resolution, command line options, environment variables and the
 * reference page are all derived from it. Dots make groups: `web.port` is `{ web: { port } }`, `MILLRACE_WEB_PORT` and
 * `--web-port`.
 *
 * Each has a `type` (see `SettingTypes`), one line of `help`, and one of `default`, `derived` (says on what the default
 * depends), `required`, or none if it may stay unset. `secret` ones are never shown and have no option; `option`
 * replaces the option's name; `aliases` are further names of it.
 */
export const settingDeclarations: typeof appDeclarations & typeof kafkaDeclarations & typeof webDeclarations = {
  ...appDeclarations,
  ...kafkaDeclarations,
  ...webDeclarations,
}

/** Name of a setting, with dots. */
export type SettingName = keyof typeof settingDeclarations
