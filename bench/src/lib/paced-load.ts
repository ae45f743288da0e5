import { setTimeout as wait } from 'node:timers/promises'
import type { BenchBroker } from './broker.ts'

/** Between two requests. */
const TICK_MS = 5

export interface Pace {
  readonly topic: string
  readonly perSecond: number
  readonly seconds: number
  readonly keys: number
}

/**
 * Sends records of 100 bytes of JSON at a rate, whether or not anybody keeps up with it; gives the time of sending of
 * each by its `n`, of `performance.now()`. What is late, because the broker or this process was busy, has the time at
 * which it was due.
 */
export async function sendAtPace(
  broker: BenchBroker,
  { topic, perSecond, seconds, keys }: Pace,
): Promise<readonly number[]> {
  const producer = broker.kafka.producer()
  await producer.connect()
  const total = perSecond * seconds
  const dueMs: number[] = []
  const sending = new Set<Promise<unknown>>()
  const fromMs = performance.now()
  while (dueMs.length < total) {
    const due = Math.min(total, Math.floor(((performance.now() - fromMs) * perSecond) / 1000))
    const messages: { key: string; value: string }[] = []
    while (dueMs.length < due) {
      const n = dueMs.length
      messages.push({ key: `user-${(n * 7919) % keys}`, value: JSON.stringify({ n, amount: n % 25_000, pad: PAD }) })
      dueMs.push(fromMs + (n * 1000) / perSecond)
    }
    if (messages.length > 0) {
      const sent: Promise<unknown> = producer.send({ topic, messages, acks: 1 }).finally(() => sending.delete(sent))
      sending.add(sent)
    }
    await wait(TICK_MS)
  }
  await Promise.all(sending)
  await producer.disconnect()
  return dueMs
}

const PAD = 'x'.repeat(60)
