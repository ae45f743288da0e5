/**
 * A process for `reopen.process.test.ts`: appends numbers to topic `t` one by one, and writes a line with the offset and the
 * record to its standard output for each that is acknowledged.
 */
import { writeSync } from 'node:fs'
import { NO_HEADERS, systemClock } from '@millrace/core'
import { createEmbeddedTransport } from '../embedded-transport.ts'

const [directory = '', name = '', count = '0'] = process.argv.slice(2)
const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const transport = createEmbeddedTransport({ directory }, { clock: systemClock(), log: quiet })
await transport.connect({ timeoutMs: 20_000 })
const producer = transport.producer()
for (let number = 0; number < Number(count); number++) {
  const record = {
    topic: 't',
    partition: 0,
    key: null,
    value: Buffer.from(`${name} ${number}`),
    headers: NO_HEADERS,
    timestamp: 1,
  }
  const [outcome] = await producer.send([record], { guard: () => {} })
  writeSync(1, `${outcome?.ok === true ? outcome.offset : 'refused'} ${name} ${number}\n`)
}
await transport.close()
