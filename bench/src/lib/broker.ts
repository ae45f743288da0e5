import { execFileSync } from 'node:child_process'
import { startKafka } from '@millrace/kafka-for-tests/start'
import { Kafka, logLevel, type Admin } from 'kafkajs'
import { workerCore } from './child.ts'

export interface BenchBroker {
  readonly brokers: string
  readonly kafka: Kafka
  readonly admin: Admin
  stop(): Promise<void>
}

/** The broker that KAFKA_BROKERS names, or one of our own, kept off the core of the worker. */
export async function benchBroker(): Promise<BenchBroker> {
  const given = process.env['KAFKA_BROKERS']
  const own = given === undefined || given === '' ? await startKafka() : undefined
  if (own !== undefined && workerCore !== undefined)
    for (const pid of own.pids) execFileSync('taskset', ['-apc', '0', String(pid)], { stdio: 'ignore' })
  const brokers = own?.brokers ?? given ?? ''
  const kafka = new Kafka({ brokers: brokers.split(','), clientId: 'bench', logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  return {
    brokers,
    kafka,
    admin,
    stop: async () => {
      await admin.disconnect()
      await own?.stop()
    },
  }
}

/** Number of records in a topic, by its end offsets. */
export async function recordsIn(admin: Admin, topic: string): Promise<number> {
  const offsets = await admin.fetchTopicOffsets(topic)
  return offsets.reduce((sum, { offset }) => sum + Number(offset), 0)
}
