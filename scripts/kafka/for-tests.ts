import { toError } from '@millrace/core'
import { afterAll, describe, inject, test } from 'vitest'
import { startQuickKafka } from './quick-kafka.ts'
import type { KafkaCluster, StartKafkaOptions } from './start-kafka.ts'

declare module 'vitest' {
  interface ProvidedContext {
    kafkaSetupPort: number
  }
}

/** What the set-up says when a test file asks for Kafka. */
export interface KafkaAnswer {
  /** host:port[,host:port]; empty when there is none. */
  readonly brokers: string
  /** Why there is none. */
  readonly problem: string
}

/**
 * `describe` for tests that need a real Kafka: KAFKA_BROKERS if set, else one that the run starts. Without any the
 * tests are skipped (one loud line says why), or fail when CI=true. Files that use it are named `*.kafka.test.ts`.
 *
 * @example
 * describeKafka('word count', (brokers) => {
 *   test('counts', async () => { … })
 * })
 */
export function describeKafka(name: string, body: (brokers: readonly string[]) => void): void {
  describe(name, async () => {
    const { brokers, problem } = await askForKafka()
    if (brokers !== '') return body(brokers.split(','))
    if (process.env['CI'] === 'true') throw new Error(`Kafka tests cannot run: ${problem}`)
    test.skip('needs Kafka', () => {})
  })
}

/**
 * `describe` with a cluster of its own, for tests that break brokers or need special ones; ended after the tests. The
 * same holds as for `describeKafka` where there is no Java or Maven.
 *
 * @example
 * describeOwnKafka('outage', { brokers: 3 }, (kafka) => {
 *   test('one broker dies', async () => { await kafka.kill(1) })
 * })
 */
export function describeOwnKafka(name: string, options: StartKafkaOptions, body: (kafka: KafkaCluster) => void): void {
  describe(name, async () => {
    const started = await startQuickKafka(options).then(
      (kafka) => ({ kafka }),
      (error: unknown) => ({ problem: toError(error).message }),
    )
    if ('kafka' in started) {
      afterAll(() => started.kafka.stop())
      return body(started.kafka)
    }
    if (process.env['CI'] === 'true') throw new Error(`Kafka tests cannot run: ${started.problem}`)
    test.skip('needs a Kafka of its own', () => {})
  })
}

export async function askForKafka(): Promise<KafkaAnswer> {
  const response = await fetch(`http://127.0.0.1:${inject('kafkaSetupPort')}/`)
  const answer: unknown = await response.json()
  if (!isAnswer(answer)) throw new Error(`The Kafka set-up gave an unexpected answer: ${JSON.stringify(answer)}`)
  return answer
}

function isAnswer(value: unknown): value is KafkaAnswer {
  return (
    typeof value === 'object' &&
    value !== null &&
    'brokers' in value &&
    typeof value.brokers === 'string' &&
    'problem' in value &&
    typeof value.problem === 'string'
  )
}
