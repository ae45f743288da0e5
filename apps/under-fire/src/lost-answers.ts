import { eventually, within } from '@millrace/conformance'
import { NO_HEADERS, type OutgoingRecord } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import { recordsOf } from '@millrace/verifier'
import { describe, expect, test } from 'vitest'
import type { Disconnect, FaultyProxy } from './faulty-proxy.ts'
import { length } from './test-length.ts'

const LIMIT = { timeout: 90_000 }
const PARTITIONS = 4
const CUTS = length({ short: 24, long: 200 })
const OPEN = { guard: (): void => {} }

/** A producer outside of transactions whose requests and answers get lost, or come late, on their way through a proxy. */
export function lostAnswersTests(outside: () => Transport, proxy: FaultyProxy): void {
  describe('a producer outside of transactions', () => {
    test('stores each record once and in order, whatever answers get lost', LIMIT, async () => {
      const topic = await created('answers-lost')
      const places: readonly Disconnect[] = ['before answer', 'answer', 'before answer', 'request']
      const producer = outside().producer()
      const cutsBefore = proxy.disconnects
      const offsets: (readonly number[])[] = []
      let sent = 0
      for (let round = 0; proxy.disconnects - cutsBefore < CUTS || round % 2 === 1; round++) {
        if (round % 2 === 0) proxy.disconnect(places[(round / 2) % places.length] ?? 'answer')
        const records = Array.from({ length: 40 }, () => record(topic, sent % PARTITIONS, String(sent++)))
        const outcomes = await producer.send(records, OPEN)
        offsets.push(outcomes.map((outcome) => (outcome.ok ? outcome.offset : -1)))
      }
      const perPartition = sent / PARTITIONS
      const found = await recordsOf(outside(), { name: topic, partitions: PARTITIONS })
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const values = found.filter((one) => one.partition === partition).map(({ value }) => Number(String(value)))
        expect(values).toEqual(Array.from({ length: perPartition }, (_, nth) => nth * PARTITIONS + partition))
      }
      // What was said of them is where they are.
      expect(offsets.flat()).toEqual(Array.from({ length: sent }, (_, nth) => Math.floor(nth / PARTITIONS)))
      console.log(`${proxy.disconnects - cutsBefore} connections cut: ${sent} records, 0 doubled, all in order`)
      await producer.close()
    })

    test('a request that comes late, behind newer records, is not stored', LIMIT, async () => {
      const topic = await created('requests-late')
      const producer = outside().producer()
      await producer.send([record(topic, 0, 'before')], OPEN)
      const late = proxy.hold('held up')
      const sending = producer.send([record(topic, 0, 'held up')], OPEN)
      await eventually(() => late.held, { what: 'the request to be on its way' })
      expect(await within(sending, { what: 'the send, over another connection', limitMs: 20_000 })).toEqual([
        { ok: true, offset: 1 },
      ])
      // More than a broker remembers of the batches of one producer.
      for (let nth = 0; nth < 8; nth++) await producer.send([record(topic, 0, `newer ${nth}`)], OPEN)
      late.release()
      await eventually(() => late.answered, { what: 'the broker to answer the late request' })
      await producer.send([record(topic, 0, 'last')], OPEN)
      const values = (await recordsOf(outside(), { name: topic, partitions: 1 })).map(({ value }) => String(value))
      expect(values).toEqual(['before', 'held up', ...Array.from({ length: 8 }, (_, nth) => `newer ${nth}`), 'last'])
      await producer.close()
    })
  })

  async function created(name: string): Promise<string> {
    await outside()
      .admin()
      .createTopics([{ name, partitions: PARTITIONS, replicationFactor: 1, config: {} }])
    return name
  }
}

function record(topic: string, partition: number, value: string): OutgoingRecord {
  return { topic, partition, key: null, value: Buffer.from(value), headers: NO_HEADERS, timestamp: 1_700_000_000_000 }
}
