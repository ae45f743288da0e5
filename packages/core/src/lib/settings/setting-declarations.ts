import { kafkaDeclarations, webDeclarations } from './connection-declarations.ts'

/** Those of the app itself. */
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
  leaveOnStop: {
    type: 'flag',
    default: true,
    help: 'Leave the group when the worker is stopped, so that others go on with its partitions at once. Off, with an instanceId: it keeps its place for sessionTimeout, and if it is back by then nothing moves; until then its partitions stand still. A worker that fails leaves in any case.',
  },
  freeze: {
    type: 'flag',
    default: true,
    help: 'Freeze the values that tables give out and take in, so that a change in place throws at once instead of being lost at the next restart. Costs about a tenth of a microsecond for each object written.',
  },
  standbys: {
    type: 'integer',
    least: 0,
    most: 100,
    default: 0,
    help: "Warm copies of each table partition to keep on other workers, for tables that say nothing else: what takes a dead worker's partitions over then reads only the end of their changelogs.",
  },
  acceptableRecoveryLag: {
    type: 'integer',
    least: 0,
    default: 10_000,
    help: "Changelog rows that a worker may have to read before it goes on with a table partition that another worker gives to it. With more it makes a copy first, while the other one goes on (Kafka Streams' acceptable.recovery.lag).",
  },
  maxWarmUps: {
    type: 'integer',
    least: 1,
    default: 16,
    help: "Copies that workers of the app make at a time of partitions that are to move to them, beyond standbys (Kafka Streams' max.warmup.replicas). More of them move in fewer rebalances.",
  },

  // the commit cycle
  commitInterval: {
    type: 'duration',
    derived: "'1s', or '100ms' when exactly once",
    help: 'From one commit of a task to the next.',
  },
  transactionTimeout: {
    type: 'duration',
    default: '60s',
    help: 'After which the broker gives up a transaction, when exactly once.',
  },

  deliveryTimeout: {
    type: 'duration',
    default: '2m',
    help: 'After which a partition that takes no records makes the worker not ready, and is named with the tasks that stand still for it. Their records are sent when it takes them again.',
  },

  // the group
  sessionTimeout: {
    type: 'duration',
    default: '10s',
    help: 'After which a worker that is not heard of loses its partitions.',
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
    help: 'How long a stop may take altogether, whatever hangs: events in flight have all of it but 8 s (at most 40 percent of it), which are for the last commit, for leaving the group and for closing. What is not through then is done again.',
  },
  connectTimeout: {
    type: 'duration',
    default: '60s',
    help: 'How long a worker tries to reach its broker for the first time.',
  },
  stallAfter: {
    type: 'duration',
    default: '5m',
    help: 'After which a partition that does not move makes the worker not ready.',
  },
  restartAfter: {
    type: 'duration',
    help: 'After which a partition that does not move, though there are records and neither the broker nor the group keeps them from being handled, makes /health/live fail, so that whoever runs the worker starts it anew. Longer than any handler may take. Off when unset.',
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
    help: 'After which a partition that is at its end holds up no watermark. When all are idle and event time was close to the clock, it follows the clock so far behind; false: event time goes by events alone.',
  },
  alignWait: {
    type: 'duration',
    default: 0,
    help: 'Where events of several topics go out by time, for joins and ordered merges: how long an event waits for earlier ones that are not on the broker yet.',
  },

  // topics
  offsetReset: {
    type: 'choice',
    choices: ['earliest', 'latest'],
    default: 'earliest',
    help: 'Where a partition starts that the app has never committed.',
  },
  onOffsetLost: {
    type: 'choice',
    choices: ['stop', 'earliest'],
    default: 'stop',
    help: 'What happens when records were deleted before they were read: stop, or go on with what is left.',
  },
  isolation: {
    type: 'choice',
    choices: ['read-committed', 'read-uncommitted'],
    default: 'read-committed',
    help: "Whether records of transactions that are open, or were aborted, are read too (Kafka's isolation.level). Changelogs and global tables are always read committed; exactly once takes nothing else.",
  },
  onBatchError: {
    type: 'choice',
    choices: ['stop', 'deadLetter', 'skip'],
    default: 'stop',
    help: 'What happens when records of a source topic cannot be read (damaged, a compression that is not installed, larger than maxBatchBytes): stop, keep their bytes in the topic {app id}-__broken-batches and go on, or go on. millrace skip goes on once.',
  },
  'topics.create': {
    type: 'flag',
    default: true,
    help: 'Create topics that are missing: those of the app file, changelogs, repartition and dead letter topics and all others of its own. Off: the app creates none, and names what is missing with the commands that create it.',
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
    help: 'How often what has been read of repartition topics and is committed is deleted from them; 0 keeps it.',
  },

  // bounds
  maxRecordBytes: { type: 'size', default: '1mb', help: 'Largest record that send takes.' },
  maxBatchBytes: {
    type: 'size',
    default: '64mb',
    help: 'Most bytes that one batch of records may unpack to when it is read from Kafka; onBatchError says what becomes of a larger one.',
  },
  maxBufferedBytes: {
    type: 'size',
    default: '32mb',
    help: 'Records fetched and not yet handed out, with what their objects take, for the whole worker.',
  },
  maxBufferedEvents: {
    type: 'integer',
    least: 1,
    default: 4096,
    help: 'Events sorted to the instances of an agent and not yet handed out.',
  },
  maxUncommitted: {
    type: 'integer',
    least: 1,
    default: 50_000,
    help: 'Events handed out of a partition and not yet committed; then the partition pauses.',
  },
  maxUncommittedBytes: {
    type: 'size',
    default: '64mb',
    help: 'Bytes handed out of a partition and not yet committed; then the partition pauses.',
  },
  maxPendingSendBytes: {
    type: 'size',
    default: '8mb',
    help: 'Sends that the broker has not acknowledged, for the whole worker; then no further event is handed out.',
  },
  maxEventBytes: {
    type: 'size',
    default: '16mb',
    help: 'Sends of one event that are kept back until it is finished; beyond it they go out at once. Exactly once, their task is then not committed before the event has finished, which must be within transactionTimeout.',
  },
  cacheBytes: {
    type: 'size',
    default: '64mb',
    help: 'Rows of tables kept decoded in memory, for the whole worker; and as much again of changed rows that wait for their commit: half of it causes a commit at once, all of it holds further events until a commit has stored some.',
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
    help: 'How often an event is handled again after it failed.',
  },
  'agent.backoff': {
    type: 'duration',
    default: '100ms',
    help: 'Wait before the first of these retries; each further one waits twice as long.',
  },
  'agent.maxBackoff': { type: 'duration', default: '10s', help: 'Longest wait between retries.' },
  'agent.askTimeout': { type: 'duration', default: '30s', help: 'How long ask, map and join wait for a reply.' },
} as const

/**
 * Every setting of an app, declared once: types, resolution, command line options, environment variables and the
 * reference page all come from here. Dots make groups: `web.port` is `{ web: { port } }`, `MILLRACE_WEB_PORT` and `--web-port`.
 *
 * Each has a `type` (see `SettingTypes`), one line of `help`, and one of `default`, `derived` (says what the default
 * depends on), `required`, or nothing when it may stay unset. `secret` ones are never shown and have no option; `option`
 * replaces the option's name; `aliases` are further names of it.
 */
export const settingDeclarations: typeof appDeclarations & typeof kafkaDeclarations & typeof webDeclarations = {
  ...appDeclarations,
  ...kafkaDeclarations,
  ...webDeclarations,
}

/** Name of a setting, with dots. */
export type SettingName = keyof typeof settingDeclarations
