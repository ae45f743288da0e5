import { expect, test } from 'vitest'
import { serverProperties, type KafkaNode } from './server-properties.ts'

const nodes: readonly KafkaNode[] = [1, 2, 3].map((id) => ({
  id,
  port: 100 * id,
  advertisedPort: 100 * id,
  controllerPort: 100 * id + 1,
  saslPort: 100 * id + 2,
  listeners: [],
  directory: `/x/node${id}`,
}))

test('three nodes vote for one another and replicate three times', () => {
  const [, second] = nodes
  const text = second === undefined ? '' : serverProperties(second, nodes, undefined)
  expect(text).toContain('controller.quorum.voters=1@127.0.0.1:101,2@127.0.0.1:201,3@127.0.0.1:301\n')
  expect(text).toContain('node.id=2\n')
  expect(text).toContain('offsets.topic.replication.factor=3\n')
  expect(text).not.toContain('SASL_PLAINTEXT://')
})

test('a user opens a second listener with its mechanisms', () => {
  const [first] = nodes
  const text = first === undefined ? '' : serverProperties(first, [first], { username: 'ann', password: 'secret' })
  expect(text).toContain('advertised.listeners=PLAINTEXT://127.0.0.1:100,SASL_PLAINTEXT://127.0.0.1:102\n')
  expect(text).toContain('sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n')
  expect(text).toContain('user_ann="secret"')
})

test('clients may be sent to another port, with a proxy on it', () => {
  const [first] = nodes
  const text = first === undefined ? '' : serverProperties({ ...first, advertisedPort: 5 }, [first], undefined)
  expect(text).toContain('listeners=PLAINTEXT://127.0.0.1:100,CONTROLLER://127.0.0.1:101\n')
  expect(text).toContain('advertised.listeners=PLAINTEXT://127.0.0.1:5\n')
})

test('further listeners have ports and settings of their own', () => {
  const [first] = nodes
  const settings = { 'ssl.client.auth': 'required' }
  const listeners = [{ name: 'MUTUAL', protocol: 'SSL', settings, port: 7 }] as const
  const text = first === undefined ? '' : serverProperties({ ...first, listeners }, [first], undefined)
  expect(text).toContain('advertised.listeners=PLAINTEXT://127.0.0.1:100,MUTUAL://localhost:7\n')
  expect(text).toContain('SASL_PLAINTEXT:SASL_PLAINTEXT,MUTUAL:SSL\n')
  expect(text).toContain('listener.name.mutual.ssl.client.auth=required\n')
})
