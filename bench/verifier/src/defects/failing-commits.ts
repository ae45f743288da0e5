import { MillraceError } from '@millrace/core'
import type { TransactionalProducer, Transport } from '@millrace/core/driver'
import { seededRandom, type SeededRandom } from '../lib/random.ts'
import { overriding } from './overriding.ts'

const FAILING = 0.01

/** One commit in a hundred is aborted instead, and fails: what a worker must survive. */
export function failingCommits(transport: Transport, seed: number): Transport {
  return withSomeCommits(transport, seed, async (producer) => {
    await producer.abort()
    throw new MillraceError('PRODUCER_FENCED', 'A commit that was made to fail.')
  })
}

/**
 * One commit in a hundred is aborted instead; then there is a new producer, and the task goes on as if nothing had
 * happened: not opened again, nothing recovered.
 */
export function reinitWithoutRecovery(transport: Transport, seed: number): Transport {
  return withSomeCommits(transport, seed, async (producer, replace) => {
    await producer.abort()
    await producer.close()
    await replace().init()
  })
}

type Instead = (producer: TransactionalProducer, replace: () => TransactionalProducer) => Promise<void>

function withSomeCommits(transport: Transport, seed: number, instead: Instead): Transport {
  const random: SeededRandom = seededRandom(seed, process.pid)
  return overriding(transport, {
    transactionalProducer: (options) => {
      let producer = transport.transactionalProducer(options)
      const replace = (): TransactionalProducer => (producer = transport.transactionalProducer(options))
      return {
        init: () => producer.init(),
        begin: () => producer.begin(),
        partitions: (topic) => producer.partitions(topic),
        brokerOf: (partition) => producer.brokerOf(partition),
        send: (records, sendOptions) => producer.send(records, sendOptions),
        sendOffsets: (groupId, offsets) => producer.sendOffsets(groupId, offsets),
        commit: () => (random.next() < FAILING ? instead(producer, replace) : producer.commit()),
        abort: () => producer.abort(),
        close: () => producer.close(),
      }
    },
  })
}
