import { type Clock, type Logger, manualClock, type ManualClock } from '@millrace/core'
import type { ConsumerOptions } from '@millrace/core/driver'
import { LogTransport } from '../clients/log-transport.ts'
import { stepGroup } from '../log/group-state.ts'
import { Lifespan } from '../log/lifespan.ts'
import type { LogBackend, LogChanges, LogReads, LogWrites } from '../log/log-backend.ts'
import { createMemoryLog, type MemoryLog } from '../memory/memory-log.ts'

export const SESSION_MS = 10_000
export const HEARTBEAT_MS = 3_000

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** A log with the topic that all members read. */
export async function logWithTopic(clock: Clock): Promise<MemoryLog> {
  const log = createMemoryLog()
  const process = processOn(log, { clock, host: 'first' })
  await process.admin().createTopics([{ name: 't', partitions: 1, replicationFactor: -1, config: {} }])
  await process.close()
  return log
}

export interface ProcessOptions {
  readonly clock: Clock
  readonly host: string
  readonly log?: Logger
  readonly backend?: LogBackend
  readonly isHostDead?: (host: string) => boolean
}

/** A process of its own on a log, whose members have sessions as on the embedded log. */
export function processOn(
  memory: Pick<MemoryLog, 'backend'>,
  { clock, host, log = silent, backend = memory.backend, isHostDead = () => false }: ProcessOptions,
): LogTransport {
  return new LogTransport(
    { name: 'memory with sessions', durable: false, shared: true, uncommittedVisible: false, sessions: true },
    { backend, clock, log, lifespan: new Lifespan('transport'), host, isHostDead },
  )
}

/** A member of the group, which writes down what it hears. */
export function member(happened: string[], options: Partial<ConsumerOptions> = {}): ConsumerOptions {
  return {
    groupId: 'group',
    topics: ['t'],
    instanceId: undefined,
    assignor: { name: 'nothing', assign: () => ({ assignments: new Map(), groupData: Buffer.alloc(0) }) },
    memberData: () => Buffer.alloc(0),
    sessionTimeoutMs: SESSION_MS,
    rebalanceTimeoutMs: 60_000,
    heartbeatIntervalMs: HEARTBEAT_MS,
    isolation: 'read-committed',
    maxPartitionBytes: 1_000,
    listener: {
      onRevoke: async () => {},
      onAssign: async ({ generation }) => void happened.push(`generation ${generation}`),
      onLost: async () => void happened.push('lost'),
    },
    ...options,
  }
}

/** A log whose writes may wait or fail for one process. */
export class DisturbedBackend implements LogBackend {
  readonly changes: LogChanges
  /** Writes of groups wait for it. */
  before: Promise<void> = Promise.resolve()
  /** Heartbeats wait for it. */
  beforeBeat: Promise<void> = Promise.resolve()
  /** Heartbeats fail. */
  fails = false
  /** Writes that waited or failed. */
  disturbed = 0
  readonly #inner: LogBackend

  constructor(inner: LogBackend) {
    this.changes = inner.changes
    this.#inner = inner
  }

  read<T>(query: (log: LogReads) => T): T {
    return this.#inner.read(query)
  }

  async write<T>(kind: keyof LogChanges | 'quiet', change: (log: LogWrites) => T): Promise<T> {
    if (kind === 'groups') {
      this.disturbed++
      await this.before
    } else {
      await this.beforeBeat
      if (this.fails) {
        this.disturbed++
        throw new Error('The disk is full.')
      }
    }
    return this.#inner.write(kind, change)
  }
}

/** Processes on one log, under one clock. */
export class Machine {
  readonly clock: ManualClock = manualClock()
  readonly log: MemoryLog
  readonly warnings: object[] = []
  readonly errors: object[] = []
  readonly dead: Set<string> = new Set()
  readonly #processes: LogTransport[] = []

  private constructor(log: MemoryLog) {
    this.log = log
  }

  static async start(): Promise<Machine> {
    return new Machine(await logWithTopic(manualClock()))
  }

  process(host: string, options: Partial<ProcessOptions> = {}): LogTransport {
    const { clock, dead, warnings, errors } = this
    const log: Logger = {
      debug: () => {},
      info: () => {},
      error: (fields) => void errors.push(Object(fields)),
      warn: (fields) => void warnings.push(Object(fields)),
    }
    const process = processOn(this.log, { clock, host, log, isHostDead: (name) => dead.has(name), ...options })
    this.#processes.push(process)
    return process
  }

  /** The members of the group, by their hosts. */
  get hosts(): readonly string[] {
    return [...this.log.group('group').members.values()].map(({ host }) => host)
  }

  idOf(host: string): string {
    const found = [...this.log.group('group').members].find(([, one]) => one.host === host)
    if (found === undefined) throw new Error(`${host} is not in the group.`)
    return found[0]
  }

  /** How often the member of a process was heard of. */
  beatsOf(host: string): number {
    const id = this.idOf(host)
    return this.log.backend.read((log) => log.beats('group', id))
  }

  /** Somebody says that the member of a process has left. */
  async throwOut(host: string): Promise<void> {
    const memberId = this.idOf(host)
    await this.log.backend.write('groups', (log) =>
      log.putGroup('group', stepGroup(log.group('group'), { type: 'leave', memberId }).state),
    )
  }

  async close(): Promise<void> {
    for (const process of this.#processes) process.kill()
  }
}
