import { brokerErrors } from './broker-errors.ts'

/** What is known of an error besides its own details. */
export interface ErrorEntry {
  readonly title: string
  /** What to do about it; left out if only the message or the cause can say that. */
  readonly fix?: string
}

/** Errors of definitions, events, state and the process. */
const appErrors = {
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
  BROKER_UNSET: {
    title: 'No broker is set',
    fix: 'Set broker (MILLRACE_BROKER) to kafka://host:port, or to embedded:./directory where records may stay on one machine.',
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
  CODEC_WAITS: {
    title: 'A codec waits for something from outside the process',
    fix: 'Try again: agents do so by themselves.',
  },
  SCHEMA_REGISTRY_UNSET: {
    title: 'No schema registry is set',
    fix: 'Set schemaRegistry (MILLRACE_SCHEMA_REGISTRY) to its URL, such as http://registry:8081.',
  },
  SCHEMA_REGISTRY_URL_INVALID: {
    title: 'The URL of the schema registry cannot be used',
    fix: 'Use http://host:port or https://user:password@host/path.',
  },
  SCHEMA_REGISTRY_UNREACHABLE: {
    title: 'The schema registry does not answer',
    fix: 'Check schemaRegistry (MILLRACE_SCHEMA_REGISTRY) and the network; millrace doctor asks it, too.',
  },
  SCHEMA_REGISTRY_REFUSED: {
    title: 'The schema registry refuses a request',
    fix: 'Check user and password in schemaRegistry, and the rights that they give.',
  },
  SCHEMA_ID_MISSING: {
    title: 'The schema registry has no schema with the id that a record names',
    fix: 'Check that schemaRegistry is the registry of what writes the topic.',
  },
  SCHEMA_NOT_REGISTERED: {
    title: 'The schema of a codec is not registered',
    fix: 'Register it when you deploy (millrace schemas register), or give the codec register: true.',
  },
  SCHEMA_INCOMPATIBLE: {
    title: 'A schema is not compatible with another one',
    fix: 'Change the schema so that it can read what is written with the others: give new fields a default. millrace schemas check says what is wrong.',
  },
  SCHEMA_INVALID: { title: 'A schema cannot be used', fix: 'Correct the schema that the message names.' },
  SCHEMA_MISMATCH: { title: 'A value does not match its schema', fix: 'Correct the value, or the schema.' },
  SCHEMA_ASYNC: { title: 'The schema validates asynchronously', fix: 'Use a schema without asynchronous checks.' },
  VALUE_UNDEFINED: {
    title: 'A table was given undefined as a value',
    fix: 'Return the new value from the function given to update; use delete(key) to remove a key.',
  },
  KEY_INVALID: { title: 'A key cannot be used', fix: 'Give a key that the key codec of the topic or table accepts.' },
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
  KEY_CONFLICT: {
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
    fix: 'No event in flight is committed: all are handled again after a restart.',
  },
  AGENT_MISSING: { title: 'There is no such agent', fix: 'See millrace agents for the existing names.' },
  DEAD_LETTER_FOREIGN: {
    title: 'The dead letter names a topic that its agent does not read',
    fix: 'Look at it with millrace dlq show: whoever can write to the dead letter topic can name any topic there. If it is right, and the agent no longer reads that topic, send the record with millrace send.',
  },
  DEAD_LETTER_UNREAD: {
    title: 'The agent of the dead letter does not read what was due',
    fix: 'Replay it while the app declares what millrace dlq show names (the windows, timers, join or suppress), and after a worker of that app has started. Otherwise do by hand what the handler would have done with its value.',
  },
  DEAD_LETTER_MISSING: {
    title: 'There is no such dead letter',
    fix: 'See millrace dlq list for the existing ones.',
  },
  ASK_TIMEOUT: { title: 'No reply came in time', fix: 'Check that a worker runs the agent, or raise the timeout.' },
  ASK_INTERRUPTED: {
    title: 'A wait for a reply was ended, so that partitions could move',
    fix: 'Nothing to do: let the error pass, and the event that asked is handled again. The request may arrive twice.',
  },
  ASK_FAILED: { title: 'The agent that was asked failed' },
  TIMESTAMP_INVALID: {
    title: 'The time of an event is not a valid time',
    fix: 'Let timestamp of the topic give milliseconds since the epoch, 0 or more, or fix what sends such records. The event is kept as a dead letter.',
  },
  TIME_AMBIGUOUS: {
    title: 'A windowed table was written in a batch of events with different times',
    fix: 'Say which time counts: update(key, change, { at: event.timestamp }). Or handle the events one by one, without take.',
  },
  RETRY_INVALID: {
    title: 'The retry option of an agent cannot be used',
    fix: "Give delays, a list of lengths of time above 0: retry: { delays: ['10s', '1m', '10m'] }. If the agent also does something for which its events cannot wait, do one of the two in another agent.",
  },
  DEDUPE_INVALID: {
    title: 'What dedupe was given makes no sense',
    fix: "Give by, a function that gives the id of a value, and within, a length of time above 0: dedupe({ by: (order) => order.id, within: '1h' }).",
  },
  SUPPRESS_INVALID: {
    title: 'What suppress or emit was given makes no sense',
    fix: "Give every, a length of time above 0: suppress({ every: '10s' }), emit({ every: '10s' }).",
  },
  READ_INVALID: {
    title: 'A read of a table cannot be done as asked',
    fix: 'Ask with read=finished or read=committed, and after=topic/partition@offset for a partition that the key’s task reads; or a plain table with read=standby, and maxLag for the offsets that a warm copy may lack.',
  },
  READ_TIMEOUT: {
    title: 'The event that a read waited for was not handled in time',
    fix: 'Try again; if it goes on, see the lag of the agents that write the table (millrace lag, /stats).',
  },
  RANGE_UNORDERED: {
    title: 'A range of keys was asked for that have no order',
    fix: "Declare the table with key: 'string' (numbers as text of one length, such as '000042') or 'bytes'; or read all with entries().",
  },
  TTL_INVALID: {
    title: 'The ttl of a table is invalid',
    fix: "Give ttl as whole milliseconds above 0 or as text with a unit ('1h'), and clock, if at all, as 'wall' or 'event'. A table that is a topic has none.",
  },
  TIMER_TIME_INVALID: {
    title: 'A timer was set for an invalid time',
    fix: 'Give at as milliseconds since the epoch, 0 or more, or as a valid Date: reminders.set(key, name, app.clock.now() + 60_000, value).',
  },
  TIMERS_UNREAD: {
    title: 'No agent reads the due events of some timers',
    fix: "Declare an agent whose source they are: app.agent('remind', reminders, …). Or remove the timers.",
  },
  WINDOW_INVALID: {
    title: 'The lengths of windows are invalid',
    fix: 'Give size, every, grace and retention as whole milliseconds or as text with a unit; size and every above 0, and every no longer than size.',
  },
  WINDOW_GLOBAL: {
    title: 'A global table has no windows',
    fix: 'Give the windows to a table (app.table) that an agent writes; their results may go to a global table.',
  },
  TABLE_IS_TOPIC: {
    title: 'A table that is filled from a topic was written',
    fix: 'Send to the topic instead: topic.send({ key, value }), and value: null to delete. Or leave out from, and let an agent write the table.',
  },
  TABLE_IS_JOIN: {
    title: 'A table that is derived from others was written',
    fix: 'Write one of its source tables.',
  },
  JOIN_INVALID: {
    title: 'The time spans of a join are invalid',
    fix: "Give within, or before and after, as whole milliseconds or as text with a unit, and kind as 'inner', 'left' or 'outer'.",
  },
  JOIN_CYCLE: {
    title: 'Joins wait for one another in a ring',
    fix: 'Let one of them read the other by way of a topic, without a join by time.',
  },
  TABLE_PARTIAL: {
    title: 'A job of the leader would read only a part of a table',
    fix: 'Use a global table: every worker has all of its rows. Or leave out onLeader, so that the job runs on every worker, each with its own rows. Or let an agent keep the result as events come (groupBy one key).',
  },
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
  PROGRESS_MISSING: {
    title: 'The progress of agents beyond a committed offset cannot be read',
    fix: "Bring the topic {app id}-__progress back with its records. Or start once with processingGuarantee: 'at-least-once': events finished beyond the offset are then handled again.",
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
  BACKUP_REFUSED: { title: 'A backup cannot be made or restored here' },
  BACKUP_FAILED: {
    title: 'A backup could not be written or read',
    fix: 'Free disk space, or correct the permissions of the directory named, and try again: nothing unfinished was left behind.',
  },
  FORMAT_NEWER: {
    title: 'A later version of Millrace wrote this data',
    fix: 'Use that version or a later one; docs/guide/upgrading.md says what can be rolled back, and how.',
  },
  STORE_FAILED: {
    title: 'The store could not be written',
    fix: 'Check the disk, and that the directory can be written. Nothing was lost: the changelog has every row.',
  },
  // process
  CLOSED: { title: 'The object used is already closed' },
  TIMEOUT: { title: 'Something took too long' },
  LEASE_EXPIRED: {
    title: 'The group has not heard from this worker for longer than sessionTimeout',
    fix: 'Nothing to do: it joins again. If it happens often, raise sessionTimeout.',
  },
  WORKER_FAILED: { title: 'The worker has stopped because of an error' },
  PORT_IN_USE: { title: 'The port is in use', fix: 'Choose another with web.port, --web-port or MILLRACE_WEB_PORT.' },
  PROCESS_FAILED: {
    title: 'A process of the worker command dies in a loop',
    fix: 'The message has the end of its error output. With processes 1 the worker runs in one process, which is easier to debug.',
  },
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
    fix: 'Start one, or name the site of one that runs: --worker http://host:port. If its certificate comes from an authority of your own, set NODE_EXTRA_CA_CERTS, and use the name in the certificate.',
  },
  ACTION_REFUSED: { title: 'The worker did not carry out the request' },
  COMMAND_USAGE: { title: 'The command was not understood', fix: 'See --help.' },
  NOT_SETTLED: { title: 'The app did not come to rest' },
  SIMULATION_FAILED: {
    title: 'A simulated run went wrong',
    fix: 'Repeat it with the call named in the message: the same seed takes the same steps.',
  },
} as const

/**
 * Every error that Millrace raises, by its stable code. The reference page of errors is generated from here.
 * Add an entry rather than throwing a bare `Error`.
 */
export const errorTable: typeof appErrors & typeof brokerErrors = { ...appErrors, ...brokerErrors }

export type ErrorCode = keyof typeof errorTable
