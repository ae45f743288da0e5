import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { describeKafka } from './for-tests.ts'

describeKafka('Kafka for tests', (brokers) => {
  test('accepts connections on every address given', async () => {
    for (const broker of brokers) {
      const [host, port] = broker.split(':')
      const reached = await new Promise<boolean>((resolve) => {
        const socket = connect(Number(port), host ?? '', () => {
          socket.destroy()
          resolve(true)
        })
        socket.once('error', () => resolve(false))
      })
      expect(reached, broker).toBe(true)
    }
  })
})
