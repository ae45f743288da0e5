import { createServer } from 'node:http'
import { toError } from '@millrace/core'
import type { TestProject } from 'vitest/node'
import type { KafkaAnswer } from './for-tests.ts'
import { startQuickKafka } from './quick-kafka.ts'
import type { KafkaCluster } from './start-kafka.ts'

/**
 * vitest's global set-up. A broker costs six seconds, and most runs need none: so this only listens, and the first
 * `describeKafka` of any test file asks for the one broker that all files of the run share.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let cluster: Promise<KafkaCluster> | undefined
  const answer = async (): Promise<KafkaAnswer> => {
    const given = process.env['KAFKA_BROKERS']
    if (given !== undefined && given !== '') return { brokers: given, problem: '' }
    try {
      cluster ??= startQuickKafka()
      return { brokers: (await cluster).brokers, problem: '' }
    } catch (error) {
      return { brokers: '', problem: toError(error).message }
    }
  }
  let told = false
  const server = createServer((_request, response) => {
    void answer().then((found) => {
      if (found.problem !== '' && !told) {
        told = true
        console.warn(
          `\n!!! KAFKA TESTS ARE ${process.env['CI'] === 'true' ? 'FAILED' : 'SKIPPED'}: no Kafka could be started: ${found.problem.replaceAll('\n', ' | ')}\n`,
        )
      }
      response.end(JSON.stringify(found))
    })
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      if (address === null || typeof address === 'string') reject(new Error('The Kafka set-up has no port.'))
      else resolve(address.port)
    })
  })
  project.provide('kafkaSetupPort', port)
  return async () => {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
    const started = await cluster?.catch(() => undefined)
    await started?.stop()
  }
}
