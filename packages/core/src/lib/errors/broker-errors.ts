/** Errors of topics, the broker and the group, as in `errorTable`. */
export const brokerErrors = {
  // topics and broker
  BROKER_UNREACHABLE: {
    title: 'The broker cannot be reached',
    fix: 'Check the broker setting, that the broker runs, and the network between.',
  },
  BROKER_UNSUPPORTED: {
    title: 'This release does not support the version of the broker',
    fix: 'Use Kafka 2.8 or later; for a broker that is newer than this release, a later release of Millrace.',
  },
  AUTHENTICATION_FAILED: { title: 'The broker refused the credentials', fix: 'Check the TLS and SASL settings.' },
  NOT_AUTHORIZED: {
    title: 'The broker does not allow this',
    fix: 'Grant the user of the app the right on the resource named; docs/reference/rights.md lists all rights that an app needs.',
  },
  CHANGELOG_MISSING: {
    title: 'The changelog topic of a table is missing',
    fix: 'Bring the topic back with its records, or start over with millrace reset. Do not create it: it would be empty, and so would the table.',
  },
  TOPIC_MISSING: { title: 'There is no such topic', fix: 'Create it, or check its name.' },
  TOPIC_INVALID: {
    title: 'The topic cannot be created as requested',
    fix: 'Correct its name, partition count or configuration.',
  },
  PARTITION_MISSING: {
    title: 'The topic has no such partition',
    fix: 'Name a partition below the partition count of the topic.',
  },
  PARTITION_UNAVAILABLE: {
    title: 'The partition accepts no records at present, and too much waits for it already',
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
    title: 'A record is larger than the broker accepts',
    fix: 'Send less in one record, or raise max.message.bytes of the topic and maxRecordBytes of the app.',
  },
  ROW_TOO_LARGE: {
    title: 'A table row is larger than the broker accepts',
    fix: 'Keep less under one key, or raise max.message.bytes of the changelog topic and maxRecordBytes of the app.',
  },
  RECORD_REFUSED: { title: 'The broker refused a record permanently' },
  COMPRESSION_MISSING: {
    title: 'A compression codec is not installed',
    fix: 'Install the package named, or choose another compression.',
  },
  POSITION_MISMATCH: {
    title: 'A fetched batch does not begin at the next offset to read',
    fix: 'Start the worker again: it continues at the committed offset, and skips nothing. If it happens again, report it with the name and version of the transport: a driver must give out batches without a gap.',
  },
  OFFSET_OUT_OF_RANGE: {
    title: 'A committed offset, or the position of reading, is no longer in the topic',
    fix: "Records were deleted before they were read: keep them longer (retention.ms). Or the broker has lost some: find out why, unclean.leader.election.enable is one way. Or set onOffsetLost: 'earliest' to continue with the remaining records.",
  },
  BATCH_CORRUPT: {
    title: 'Records of a topic do not match their checksum',
    fix: 'Check the disk and the network of the broker. If another replica has them undamaged, make it the leader; otherwise let onBatchError or millrace skip move the group past them.',
  },
  BATCH_TOO_LARGE: {
    title: 'A batch of records unpacks to more than the limit',
    fix: 'Raise maxBatchBytes if the batch is legitimate: a few bytes can unpack to very many.',
  },
  OFFSET_UNSAFE: { title: 'An offset is larger than a JavaScript number can hold exactly', fix: 'Start a new topic.' },
  LOG_CORRUPT: {
    title: 'The local log is damaged',
    fix: 'Move the directory away and start again; its records can only be restored from a copy.',
  },
  LOG_VERSION: {
    title: 'The local log was written by another version',
    fix: 'With the version that wrote it: millrace embedded export FILE. Then move the directory away, and with this version: millrace embedded import FILE.',
  },
  LOG_TEXT_BROKEN: {
    title: 'The text of a log is truncated, changed, or not such a text',
    fix: 'Export it again, or use another copy. Nothing of it has been imported.',
  },
  LOG_EXISTS: {
    title: 'A local log already exists',
    fix: 'An existing log is never changed: stop its workers and move the directory away, or set broker to another one (embedded:./directory).',
  },
  LOG_MISSING: {
    title: 'The local log does not exist',
    fix: 'Set broker to embedded:./directory, the directory of the log.',
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
  INSTANCE_TAKEN: {
    title: 'Another worker has joined with the same instance id',
    fix: 'Give each worker an instanceId and a data directory of its own. If the id came from the data directory, that was copied (a snapshot of a volume, an image, a backup restored beside the original): this directory has another id now, so start the worker again; if it is the copy, an empty directory is as good.',
  },
  PRODUCER_FENCED: {
    title: 'Another producer has taken over the transactional id',
    fix: 'Nothing to do: the owner of the task reopens it.',
  },
  TRANSACTION_STATE: {
    title: 'A transaction call came out of order',
    fix: 'This is a bug in Millrace: please report it.',
  },
  EVENT_BLOCKED: {
    title: 'An event has kept the event loop busy for so long that its worker lost its partitions',
    fix: 'Give the event loop a turn now and then (await setImmediate) or compute in a worker thread; or raise sessionTimeout. The dead letter can be replayed then.',
  },
  EVENT_TIMEOUT: {
    title: 'An agent took longer for an event than its timeout allows',
    fix: "Raise the agent's timeout, or find out what its handler waits for; event.signal ends a request when the time is over.",
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
  SKIP_REFUSED: { title: 'The record or batch cannot be skipped' },
} as const
