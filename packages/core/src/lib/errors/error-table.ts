/** What is said about an error beside its own details. */
export interface ErrorEntry {
  readonly title: string
  /** What to do about it; left out where only the message or the cause can say. */
  readonly fix?: string
}

/**
 * Every error that Millrace raises, by its stable code. The reference page of errors is generated from here.
 * Add an entry rather than throwing a bare `Error`.
 */
export const errorTable = {
  // settings and definition
  SETTING_UNKNOWN: {
    title: 'There is no such setting',
    fix: 'Check the spelling against the settings reference (docs/reference/settings.md).',
  },
  SETTING_INVALID: { title: 'A setting has a value that cannot be used', fix: 'Give it a value of the kind named.' },
  BROKER_URL_INVALID: {
    title: 'The broker URL cannot be used',
    fix: 'Use kafka://host:port[,host:port], embedded:, embedded:./directory or memory:.',
  },
  STORE_URL_INVALID: { title: 'The store URL cannot be used', fix: 'Use memory:, lmdb: or lmdb:./directory.' },
  NAME_TAKEN: { title: 'Two definitions have one name', fix: 'Rename one of them.' },
  NAME_INVALID: { title: 'A name cannot be used', fix: 'Use letters, digits, dots, dashes and underscores.' },
  DEFINITION_INVALID: { title: 'A definition cannot be used' },
  DEFINITION_LATE: {
    title: 'Something was defined after the app had started',
    fix: 'Define agents, topics and tables before app.start().',
  },
  TOPOLOGY_LATE: {
    title: 'A topic or state was declared after the worker had joined its group',
    fix: 'Call groupBy, through and merge before the first await of the agent.',
  },
  DURATION_INVALID: {
    title: 'A duration cannot be read',
    fix: "Use milliseconds as a number, or text such as '250ms', '10s', '5m', '1h', '1d'.",
  },
  SIZE_INVALID: {
    title: 'A size in bytes cannot be read',
    fix: "Use bytes as a number, or text such as '512kb', '32mb', '1gb'.",
  },
  CRON_INVALID: {
    title: 'A cron expression cannot be used',
    fix: "Use 5 fields, 6 with seconds, or '@daily' and the like; the message says what is wrong.",
  },
  TIME_ZONE_UNKNOWN: {
    title: 'There is no such time zone',
    fix: "Use a name of the IANA database, such as 'Europe/Berlin'.",
  },
  JOB_MISSING: { title: 'There is no such job', fix: 'Check the name against app.scheduler.jobs().' },
  // codecs
  CODEC_UNKNOWN: {
    title: 'There is no such codec',
    fix: "Use 'bytes', 'string', 'json', 'number', a Codec or a Standard Schema.",
  },
  ENCODE_FAILED: { title: 'A value could not be encoded', fix: 'Send a value that the codec or schema accepts.' },
  DECODE_FAILED: {
    title: 'A record could not be decoded',
    fix: 'Check what writes the topic, or give the topic the codec it was written with.',
  },
  SCHEMA_MISMATCH: { title: 'A value does not match its schema', fix: 'Correct the value, or the schema.' },
  SCHEMA_ASYNC: { title: 'The schema validates asynchronously', fix: 'Use a schema without asynchronous checks.' },
  VALUE_UNDEFINED: {
    title: 'A table was given undefined as a value',
    fix: 'Return the new value from the function given to update; use delete(key) to remove a key.',
  },
  KEY_INVALID: { title: 'A key cannot be used', fix: 'Give a key that the key codec of the topic or table takes.' },
  // topics and broker
  BROKER_UNREACHABLE: {
    title: 'The broker cannot be reached',
    fix: 'Check the broker setting, that the broker runs, and the network between.',
  },
  BROKER_UNSUPPORTED: {
    title: 'The broker is of a version that this release does not work with',
    fix: 'Use Kafka 2.8 or later; for a broker that is newer than this release, a later release of Millrace.',
  },
  AUTHENTICATION_FAILED: { title: 'The broker refused the credentials', fix: 'Check the TLS and SASL settings.' },
  NOT_AUTHORIZED: {
    title: 'The broker does not allow this',
    fix: 'Give the user of the app the rights on the topic or group named.',
  },
  CHANGELOG_MISSING: {
    title: 'The changelog topic of a table is gone',
    fix: 'Bring the topic back with its records, or start anew with millrace reset. Do not create it: it would be empty, and so would the table.',
  },
  TOPIC_MISSING: { title: 'There is no such topic', fix: 'Create it, or check its name.' },
  TOPIC_INVALID: {
    title: 'The topic cannot be made as asked',
    fix: 'Correct its name, partition count or configuration.',
  },
  PARTITION_MISSING: {
    title: 'The topic has no such partition',
    fix: 'Name a partition below the partition count of the topic.',
  },
  PARTITION_UNAVAILABLE: {
    title: 'The partition takes no records just now, and too much waits for it already',
    fix: 'Send again later; bring back the replicas of the partition.',
  },
  PARTITIONS_CHANGED: {
    title: 'The partition count of a source topic has changed',
    fix: 'Restart all workers; tables keyed by the old count must be rebuilt (millrace reset).',
  },
  NOT_COPARTITIONED: {
    title: 'Topics or tables that work together have different partition counts',
    fix: 'Give them one count, or use groupBy to bring the records to the right partition.',
  },
  RECORD_TOO_LARGE: {
    title: 'A record is larger than the broker takes',
    fix: 'Send less in one record, or raise max.message.bytes of the topic and maxRecordBytes of the app.',
  },
  ROW_TOO_LARGE: {
    title: 'A table row is larger than the broker takes',
    fix: 'Keep less under one key, or raise max.message.bytes of the changelog topic and maxRecordBytes of the app.',
  },
  RECORD_REFUSED: { title: 'The broker refused a record for good' },
  COMPRESSION_MISSING: {
    title: 'A compression codec is not installed',
    fix: 'Install the package named, or choose another compression.',
  },
  POSITION_MISMATCH: {
    title: 'What was fetched of a partition does not begin where reading stands',
    fix: 'Start the worker again: it goes on from what is committed, and nothing is passed over. If it happens again, report it with the name and version of the transport: a driver must give out batches without a gap.',
  },
  OFFSET_OUT_OF_RANGE: {
    title: 'A committed offset, or the position of reading, is no longer in the topic',
    fix: "Records were deleted before they were read: keep them longer (retention.ms). Or the broker has lost some: find out why, unclean.leader.election.enable is one way. Else set onOffsetLost: 'earliest' to go on with what is left.",
  },
  BATCH_CORRUPT: {
    title: 'Records of a topic do not match their checksum',
    fix: 'Look at the disk and the network of the broker. If another replica has them whole, make it the leader; else let onBatchError or millrace skip move the group on past them.',
  },
  BATCH_TOO_LARGE: {
    title: 'A batch of records is larger than what is unpacked at once',
    fix: 'Raise maxBatchBytes, if the batch is what it should be: a few bytes can unpack to very many.',
  },
  OFFSET_UNSAFE: { title: 'An offset is larger than a JavaScript number can hold exactly', fix: 'Start a new topic.' },
  LOG_CORRUPT: {
    title: 'The local log is damaged',
    fix: 'Move the directory away and start again; its records can only be restored from a copy.',
  },
  LOG_VERSION: {
    title: 'The local log was written by another version',
    fix: 'Use the version that wrote it, or move the directory away and start anew: there is no migration.',
  },
  LOG_UNUSABLE: {
    title: 'The directory of the local log cannot be used',
    fix: 'Check that it exists on a local disk, that it can be written, and that there is room.',
  },
  // group
  NOT_LEADER: {
    title: 'The job runs on the leader, and this worker does not lead',
    fix: 'Trigger it at the worker that leads; app.scheduler.jobs() tells which jobs run here.',
  },
  NOT_ASSIGNED: {
    title: 'A partition is not assigned to this member',
    fix: 'Nothing to do: the record is handled by its owner.',
  },
  MEMBER_FENCED: {
    title: 'The group has gone on without this member',
    fix: 'Nothing to do: the worker joins again. If it happens often, raise sessionTimeout.',
  },
  PRODUCER_FENCED: {
    title: 'Another producer has taken over the transactional id',
    fix: 'Nothing to do: the task is opened again by its owner.',
  },
  TRANSACTION_STATE: {
    title: 'A transaction call came out of order',
    fix: 'This is a bug in Millrace: please report it.',
  },
  EVENT_BLOCKED: {
    title: 'An event has kept the event loop busy for so long that its worker lost its partitions',
    fix: 'Give the event loop a turn now and then (await setImmediate) or compute in a worker thread; or raise sessionTimeout. The dead letter can be replayed then.',
  },
  GROUP_TOO_LARGE: {
    title: 'The group has more members and partitions than its broker can keep',
    fix: 'Raise max.message.bytes of the topic __consumer_offsets on the brokers (message.max.bytes of the brokers when that is not set), or run fewer workers.',
  },
  GROUP_INCONSISTENT: {
    title: 'The group has members of another kind',
    fix: 'Use another app id, or stop the other consumers of this group.',
  },
  GROUP_NOT_EMPTY: { title: 'The consumer group has members', fix: 'Stop all workers of the app first.' },
  SKIP_REFUSED: { title: 'What was to be skipped cannot be skipped' },
  // events and state
  NO_CURRENT_EVENT: {
    title: 'There is no current event here',
    fix: 'Write and send while the event is being handled: await the work before asking for the next event, or use event.run(fn).',
  },
  WRITE_OUTSIDE_AGENT: {
    title: 'Tables are written by agents only',
    fix: 'Send an event to an agent that makes the change.',
  },
  AWAIT_IN_EVENT: {
    title: 'A send cannot be acknowledged within its own event',
    fix: 'Do not await metadata() here: the event is not committed before the broker has the record anyway.',
  },
  VALUE_FROZEN: {
    title: 'A value that a table gave out was changed in place',
    fix: 'Make a new value and write that: table.update(key, (value) => ({ ...value, count: value.count + 1 })).',
  },
  KEY_IN_HAND: {
    title: 'Another event in flight holds what this one needs',
    fix: 'Nothing to do: the event is handed out again.',
  },
  KEY_NOT_OWNED: {
    title: 'The key belongs to another partition than the current event',
    fix: "Bring the records to the key's partition with groupBy; or set partitionBy for composite keys; or partitioner: 'source' for topics filled by another partitioner.",
  },
  KEY_CODEC_DIFFERS: {
    title: 'A table encodes its keys in another way than the topic of the event',
    fix: 'Give both the same key codec.',
  },
  PARTITION_NOT_LOCAL: {
    title: 'The partition of this key is not on this worker, or not recovered yet',
    fix: 'Ask the worker that owns it: app.tableRoute or /table/{name}/{key}/.',
  },
  ALREADY_STARTED: { title: 'The app runs already', fix: 'Stop it before starting it again.' },
  JOB_TIMEOUT: {
    title: 'A job took longer than its timeout',
    fix: 'Raise the timeout of the job, or do less in one run.',
  },
  NO_WORKER: {
    title: 'No worker runs in this process',
    fix: 'Start the app first (app.start()), or do this in an agent, page, task or timer.',
  },
  AGENT_RETURNED: {
    title: 'An agent returned while its stream was open',
    fix: 'Mostly its loop was left by break or return, or is not awaited: go on with continue, and await what loops. A handler that has nothing to do for some events still reads them.',
  },
  AGENT_FAILED: {
    title: 'An agent failed on an event',
    fix: 'Nothing that was in flight is committed: it is handled again after a restart.',
  },
  AGENT_MISSING: { title: 'There is no such agent', fix: 'See millrace agents for the names there are.' },
  DEAD_LETTER_MISSING: {
    title: 'There is no such dead letter',
    fix: 'See millrace dlq list for what there is.',
  },
  ASK_TIMEOUT: { title: 'No reply came in time', fix: 'Check that a worker runs the agent, or raise the timeout.' },
  ASK_INTERRUPTED: {
    title: 'A wait for a reply was ended, so that partitions could move',
    fix: 'Nothing to do: let the error pass, and the event that asked is handled again. The request may arrive twice.',
  },
  ASK_FAILED: { title: 'The agent that was asked failed' },
  ASK_IN_TRANSACTION: {
    title: 'An agent cannot ask under exactly once',
    fix: 'Send instead of asking, or use at-least-once.',
  },
  CHANNEL_CLOSED: {
    title: 'Nobody reads the channel',
    fix: 'Send while the worker runs, and to a channel that an agent of the app reads.',
  },
  // recovery and stores
  OFFSETS_MISSING: {
    title: 'A changelog has rows but the source has no committed offsets',
    fix: 'Use millrace reset to start over, or restore the committed offsets of the group.',
  },
  CHANGELOG_LOSES_ROWS: {
    title: 'The broker deletes rows of a changelog',
    fix: 'Set cleanup.policy=compact on the topic named, with the command in the message. Rows that are gone already come back only with millrace reset.',
  },
  ROW_UNDECODABLE: {
    title: 'A table row cannot be decoded',
    fix: 'Give the table a migrate function, or the codec it was written with.',
  },
  STORE_IN_USE: { title: 'The store is in use', fix: 'Stop the other worker, or give this one another directory.' },
  STORE_CORRUPT: { title: 'The store is damaged', fix: 'Delete its directory: it is rebuilt from the changelog.' },
  STORE_VERSION: {
    title: 'The store was written by another version',
    fix: 'Delete its directory: it is rebuilt from the changelog.',
  },
  STORE_FAILED: {
    title: 'The store could not be written',
    fix: 'Check the disk, and that the directory can be written. Nothing was lost: the changelog has every row.',
  },
  // process
  CLOSED: { title: 'What is needed for this is closed already' },
  TIMEOUT: { title: 'Something took too long' },
  LEASE_EXPIRED: {
    title: 'The group has not heard from this worker for longer than sessionTimeout',
    fix: 'Nothing to do: it joins again. If it happens often, raise sessionTimeout.',
  },
  WORKER_FAILED: { title: 'The worker has stopped because of an error' },
  PORT_IN_USE: { title: 'The port is in use', fix: 'Choose another with web.port, --web-port or MILLRACE_WEB_PORT.' },
  RESET_UNFINISHED: {
    title: 'The reset stopped half-way',
    fix: 'Remove the cause and run millrace reset again before a worker starts.',
  },
  APP_NOT_FOUND: {
    title: 'The app cannot be loaded',
    fix: 'Give its file with -A path[:export], MILLRACE_APP, or "millrace": { "app": … } in package.json.',
  },
  APP_UNLOADABLE: {
    title: 'The app file cannot be imported',
    fix: 'Correct what the message names. What the file imports must be installed beside it.',
  },
  WORKER_UNREACHABLE: {
    title: 'No worker of the app answers there',
    fix: 'Start one, or name the site of one that runs: --worker http://host:port.',
  },
  ACTION_REFUSED: { title: 'The worker did not do it' },
  COMMAND_USAGE: { title: 'The command was not understood', fix: 'See --help.' },
  NOT_SETTLED: { title: 'The app did not come to rest' },
  SIMULATION_FAILED: {
    title: 'A simulated run went wrong',
    fix: 'Repeat it with the call named in the message: the same seed takes the same steps.',
  },
} as const

export type ErrorCode = keyof typeof errorTable
