// Sends the run's records over its time, each acknowledged. Says how far it is, one JSON object a line.
import { type Logger, type OutgoingRecord, systemClock } from '@millrace/core'
import { partitionForKey } from '@millrace/core/driver'
import { endRecords, inputRecords, inputValue } from '../lib/input-records.ts'
import { lookFromOutside } from '../lib/open-transport.ts'
import { runOfThisProcess } from '../lib/verifier-run.ts'
import { verifierTopics } from '../lib/verifier-topics.ts'

const TICK_MS = 50
const LARGEST_BATCH = 2000
const NO_GUARD = { guard: () => {} }

// Its other end is closed when the program that started this one is gone, however that ended.
process.stdin.on('end', () => process.exit(1))
process.stdin.resume()
process.stdin.unref()
const run = runOfThisProcess()
const topics = verifierTopics(run.id)
const clock = systemClock()
const say = (what: object): void => console.log(JSON.stringify(what))
const warn = (fields: object, message: string): void => console.error(message, fields)
const log: Logger = { debug: () => {}, info: () => {}, warn, error: warn }

await lookFromOutside(run.broker, log, async (transport) => {
  const producer = transport.producer()
  const beganMs = clock.monotonic()
  const left = inputRecords(run)
  let sent = 0
  while (sent < run.records) {
    const passedMs = clock.monotonic() - beganMs
    const due = Math.min(run.records, Math.ceil((run.records * passedMs) / run.durationMs))
    const batch: OutgoingRecord[] = []
    while (batch.length < due - sent && batch.length < LARGEST_BATCH) {
      const next = left.next()
      if (next.done === true) break
      const { topic, key, headers, timestamp } = next.value
      const { name, partitions } = topics[topic]
      const bytes = Buffer.from(key)
      batch.push({
        topic: name,
        partition: partitionForKey(bytes, partitions),
        key: bytes,
        value: inputValue(next.value),
        headers,
        timestamp,
      })
    }
    const outcomes = await producer.send(batch, NO_GUARD)
    for (const outcome of outcomes) if (!outcome.ok) throw outcome.error
    sent += batch.length
    say({ sent })
    const nextMs = ((sent + 1) * run.durationMs) / run.records - (clock.monotonic() - beganMs)
    await clock.sleep(Math.max(nextMs, batch.length === LARGEST_BATCH ? 0 : TICK_MS))
  }
  const ends = (['c', 'd'] as const).flatMap((topic) =>
    endRecords(run, topics[topic].partitions).map(({ key, partition, timestamp, ...rest }): OutgoingRecord => {
      const value = inputValue({ key, ...rest })
      return { topic: topics[topic].name, partition, key: Buffer.from(key), value, headers: [], timestamp }
    }),
  )
  for (const outcome of await producer.send(ends, NO_GUARD)) if (!outcome.ok) throw outcome.error
  await producer.close()
})
say({ done: true })
