/**
 * A worker for `large-rows.process.test.ts`, in a process of its own whose memory can be looked at: writes many large rows and
 * reads them all. Writes what it found as one JSON line.
 */
import { readFileSync } from 'node:fs'
import { createApp } from '@millrace/app'

const [, , directory = ''] = process.argv
const KEYS = 40_000
const VALUE_BYTES = 6000

const app = createApp({
  id: 'large-rows',
  broker: `embedded:${directory}`,
  store: `lmdb:${directory}`,
  topicPartitions: 4,
  cacheBytes: '8mb',
  // What is not yet committed is in memory, too.
  maxUncommitted: 1000,
  maxBufferedBytes: '4mb',
  web: { enabled: false },
})
const numbers = app.topic('numbers', { key: 'string', value: 'number' })
const rows = app.table('rows', { key: 'string', value: 'string' })
let seen = 0
app.agent('fill', numbers, async (stream) => {
  for await (const event of stream.events()) {
    const { key } = event
    rows.set(key, `${event.value} `.padEnd(VALUE_BYTES, 'x'))
    seen++
  }
})

/** Pages of this process that no file stands behind: LMDB's file, which is mapped, does not count. */
function ownMemory(): number {
  const [, kilobytes] = /RssAnon:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  return Number(kilobytes) * 1024
}

await app.start()
const before = ownMemory()
let most = before
for (let sent = 0; sent < KEYS; sent += 1000) {
  await Promise.all(Array.from({ length: 1000 }, (_, i) => numbers.send({ key: `key ${sent + i}`, value: i })))
  while (seen < sent) await new Promise((resolve) => setImmediate(resolve))
  most = Math.max(most, ownMemory())
}
while (seen < KEYS) await new Promise((resolve) => setImmediate(resolve))
for await (const [, value] of rows.entries()) if (value.length !== VALUE_BYTES) throw new Error('A row is wrong.')
most = Math.max(most, ownMemory())
const { cachedBytes, rows: count } = rows.stats()
process.stdout.write(
  `${JSON.stringify({ cachedBytes, rows: count, grown: most - before, bytes: KEYS * VALUE_BYTES })}\n`,
)
await app.stop()
