import { manualClock, type ManualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { BrokerHealth } from './broker-health.ts'

const A = '10.0.0.1:9092'
const B = '10.0.0.2:9092'

function observed(): { readonly clock: ManualClock; readonly health: BrokerHealth; readonly lines: string[] } {
  const clock = manualClock()
  const lines: string[] = []
  const warn = (_fields: object, message: string): void => void lines.push(message)
  const health = new BrokerHealth({ clock, log: { debug: () => {}, info: () => {}, error: () => {}, warn } })
  return { clock, health, lines }
}

test('an outage logs one line per broker every ten seconds, whatever is tried, and one when the broker is back', async () => {
  const { clock, health, lines } = observed()
  for (const broker of [A, B]) health.answered(broker)
  for (let second = 0; second < 25; second++) {
    for (const broker of [A, B]) health.failed(broker, `${broker}: connect ECONNREFUSED.`)
    for (const what of ['reading orders/0', 'heartbeat of group "shop"'])
      health.trying(what, `${B}: connect ECONNREFUSED.`)
    await clock.advance('1s')
  }
  const first = (broker: string): string =>
    `Kafka broker ${broker} cannot be reached: ${broker}: connect ECONNREFUSED. Waiting: reading orders/0.`
  const later = (broker: string, goneS: number): string =>
    `Kafka broker ${broker} cannot be reached: ${broker}: connect ECONNREFUSED. It has been gone for ${goneS} s. Waiting: reading orders/0.`
  expect(lines.splice(0)).toEqual([first(A), first(B), later(A, 10), later(B, 10), later(A, 20), later(B, 20)])
  expect(health.states.map(({ isReachable }) => isReachable)).toEqual([false, false])
  health.answered(A)
  health.answered(A)
  expect(lines).toEqual([`Kafka broker ${A} is back after 25 s.`])
  expect(health.states).toEqual([
    { broker: A, isReachable: true, forMs: 0 },
    { broker: B, isReachable: false, forMs: 25_000 },
  ])
})

test('a broker that alternately answers and fails logs no more lines than one that is gone', async () => {
  const { clock, health, lines } = observed()
  for (let second = 0; second < 20; second++) {
    health.failed(A, `${A}: closed.`)
    health.trying('sending', `${A}: closed.`)
    await clock.advance('500ms')
    health.answered(A)
    await clock.advance('500ms')
  }
  expect(lines.filter((line) => line.includes('cannot be reached'))).toHaveLength(2)
  expect(lines.filter((line) => line.includes('is back'))).toHaveLength(2)
})

test('temporary refusals of brokers are logged too, each reason once in ten seconds', async () => {
  const { clock, health, lines } = observed()
  health.answered(A)
  for (let second = 0; second < 11; second++) {
    health.trying('commit of group "shop"', 'Kafka answered COORDINATOR_LOAD_IN_PROGRESS.')
    if (second === 1) health.trying('reading orders/0', 'The checksum is wrong.')
    await clock.advance('1s')
  }
  const loading = 'Kafka: commit of group "shop": Kafka answered COORDINATOR_LOAD_IN_PROGRESS. Trying again.'
  expect(lines).toEqual([loading, 'Kafka: reading orders/0: The checksum is wrong. Trying again.', loading])
})

test('a broker that no client has tried to reach for long no longer counts as gone', async () => {
  const { clock, health, lines } = observed()
  health.failed(A, `${A}: connect ECONNREFUSED.`)
  health.answered(B)
  await clock.advance('2m')
  health.trying('reading orders/0', 'Kafka answered NOT_LEADER_OR_FOLLOWER.')
  expect(lines).toEqual(['Kafka: reading orders/0: Kafka answered NOT_LEADER_OR_FOLLOWER. Trying again.'])
  expect(health.states.map(({ broker }) => broker)).toEqual([B])
})
