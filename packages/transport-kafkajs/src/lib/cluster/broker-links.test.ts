import { once } from 'node:events'
import { createServer } from 'node:net'
import { systemClock, type Logger } from '@millrace/core'
import { expect, test } from 'vitest'
import { createKafkaTransport } from '../kafka-transport.ts'
import { APIS } from '../wire/wire-request.ts'
import { WireWriter } from '../wire/wire-writer.ts'
import { unsupportedBroker, type BrokerVersions } from './broker-links.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const versionsWith = (name: keyof typeof APIS, minVersion: number, maxVersion: number): BrokerVersions => ({
  ...Object.fromEntries(Object.values(APIS).map(({ key }) => [key, { minVersion: 0, maxVersion: 20 }])),
  [APIS[name].key]: { minVersion, maxVersion },
})

test('a broker must support every request in the version that is sent', () => {
  expect(unsupportedBroker(versionsWith('fetch', 0, 20))).toBeUndefined()
  expect(unsupportedBroker(versionsWith('metadata', 0, 9))).toMatch(
    /Metadata request of version 10: Kafka 2\.8 or later/,
  )
  expect(unsupportedBroker(versionsWith('produce', 9, 20))).toMatch(/supports Produce requests only from version 9 on/)
  expect(unsupportedBroker(null)).toMatch(/Kafka 2\.8 or later/)
})

test('an old broker is an error at once, without a retry', async () => {
  // Answers every ApiVersions request with the versions of Kafka 2.7, which had no topic ids.
  const server = createServer((socket) =>
    socket.on('data', (request) => {
      const body = new WireWriter().int32(request.readInt32BE(8)).int16(0)
      body.array(Object.values(APIS), ({ key, version }) =>
        body
          .int16(key)
          .int16(0)
          .int16(key === APIS.metadata.key ? 9 : version),
      )
      const answer = body.int32(0).bytes()
      socket.write(Buffer.concat([new WireWriter().int32(answer.length).bytes(), answer]))
    }),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const broker = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  const clock = systemClock()
  const transport = createKafkaTransport({ brokers: [broker], clientId: 'x' }, { clock, log: silent })
  const startedMs = clock.monotonic()
  await expect(transport.connect({ timeoutMs: 10_000 })).rejects.toMatchObject({
    code: 'BROKER_UNSUPPORTED',
    detail: `${broker} has no Metadata request of version 10: Kafka 2.8 or later is needed.`,
  })
  expect(clock.monotonic() - startedMs).toBeLessThan(5_000)
  await transport.close()
  server.close()
})
