import { execFileSync } from 'node:child_process'
import { setTimeout as wait } from 'node:timers/promises'
import { startKafka } from '@millrace/kafka-for-tests/start'
import { type Admin, Kafka, logLevel } from 'kafkajs'
import { workerCore } from './child.ts'

export interface BenchBroker {
  readonly brokers: string
  readonly kafka: Kafka
  readonly admin: Admin
  /** Its processes; none if it is not our own. */
  readonly pids: readonly number[]
  stop(): Promise<void>
}

/** The broker that KAFKA_BROKERS names, or one of our own; with this process, which sends and looks, kept off the core of the worker. */
export async function benchBroker(): Promise<BenchBroker> {
  const given = process.env['KAFKA_BROKERS']
  const own = given === undefined || given === '' ? await startKafka() : undefined
  if (own !== undefined && workerCore !== undefined)
    for (const pid of [process.pid, ...own.pids])
      execFileSync('taskset', ['-apc', '0', String(pid)], { stdio: 'ignore' })
  const brokers = own?.brokers ?? given ?? ''
  const kafka = new Kafka({ brokers: brokers.split(','), clientId: 'bench', logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  return {
    brokers,
    kafka,
    admin,
    pids: own?.pids ?? [],
    stop: async () => {
      await admin.disconnect()
      await own?.stop()
    },
  }
}

const NEW_TOPIC_LIMIT_MS = 10_000

/** Number of records in a topic, by its end offsets. Asks again while the partitions of a new topic have no leader. */
export async function recordsIn(admin: Admin, topic: string): Promise<number> {
  const limitMs = performance.now() + NEW_TOPIC_LIMIT_MS
  for (;;) {
    try {
      const offsets = await admin.fetchTopicOffsets(topic)
      return offsets.reduce((sum, { offset }) => sum + Number(offset), 0)
    } catch (error) {
      if (!isRetriable(error) || performance.now() > limitMs) throw error
      await wait(50)
    }
  }
}

/** Errors of kafkajs say so. */
function isRetriable(error: unknown): boolean {
  return error instanceof Error && 'retriable' in error && error.retriable === true
}
