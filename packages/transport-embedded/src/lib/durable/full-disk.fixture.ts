/**
 * A process for `full-disk.process.test.ts`, started with a limit on the size of files: appends until that fails, and then
 * looks at the end of the log. Writes its findings as one JSON line.
 */
import { MillraceError, NO_HEADERS, systemClock, type OutgoingRecord } from '@millrace/core'
import { createEmbeddedTransport } from '../embedded-transport.ts'

const [directory = ''] = process.argv.slice(2)
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const transport = createEmbeddedTransport({ directory }, { clock: systemClock(), log: quiet })
await transport.connect({ timeoutMs: 5000 })
const admin = transport.admin()
await admin.createTopics([{ name: 't', partitions: 1, replicationFactor: -1, config: {} }])
const producer = transport.producer()
const send = (value: string): ReturnType<typeof producer.send> => {
  const records = Array.from({ length: 50 }, (): OutgoingRecord => ({
    topic: 't',
    partition: 0,
    key: null,
    value: Buffer.from(value.padEnd(1000)),
    headers: NO_HEADERS,
    timestamp: 1,
  }))
  return producer.send(records, { guard: () => {} })
}
let acknowledged = 0
let code: string | undefined
let message = ''
for (let round = 0; round < 1000 && code === undefined; round++) {
  try {
    await send(`round ${round}`)
    acknowledged += 50
  } catch (error) {
    code = error instanceof MillraceError ? error.code : 'other'
    message = error instanceof Error ? error.message : String(error)
  }
}
const end = async (): Promise<number> =>
  (await admin.offsets([{ topic: 't', partition: 0 }], 'read-committed'))[0]?.end ?? -1
const endAfterFailure = await end()
await transport.close()
process.stdout.write(`${JSON.stringify({ acknowledged, code, message, endAfterFailure })}\n`)
