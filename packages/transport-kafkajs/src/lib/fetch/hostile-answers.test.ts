import { isMillraceError, toError } from '@millrace/core'
import { expect, test } from 'vitest'
import { installedCodecs } from '../compression/installed-codecs.ts'
import { createKafkaTransport } from '../kafka-transport.ts'
import { answerMetadata, impatientClock, scriptedBroker } from '../scripted-broker.fixture.ts'
import { Dice, type HostileFetch, hostileFetch, MOST_UNPACKED, peacefulFetch } from '../wire/mutated-batches.fixture.ts'
import { readByTopic } from '../wire/requests/request-fields.ts'
import { readStrictly } from '../wire/strict-batches.fixture.ts'
import { WireWriter } from '../wire/wire-writer.ts'

const ATTACKS = Number(process.env['MILLRACE_ATTACK'] ?? 60)
/** `MILLRACE_ATTACK_SEED` repeats a run. */
const SEED = Number(process.env['MILLRACE_ATTACK_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const TOPIC = 't'
const END = 16
const NOTHING: Omit<HostileFetch, 'position'> = { data: Buffer.alloc(0), aborted: [], changes: [] }

const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** The answer to a fetch of one partition. */
function answerOf({ data, aborted }: Omit<HostileFetch, 'position'>): Buffer {
  const answer = new WireWriter().int32(0).int16(0).int32(0)
  answer.array([TOPIC], (topic) => {
    answer.string(topic).array([0], (partition) => {
      answer.int32(partition).int16(0).int64(END).int64(END).int64(0)
      answer.array(aborted, ({ producerId, firstOffset }) => answer.int64(producerId).int64(firstOffset))
      answer.int32(-1).data(data)
    })
  })
  return answer.bytes()
}

/** A broker of one partition, and a reader of it. The answers in `hostile` come first; all later ones are right. */
async function setUp() {
  const codecs = await installedCodecs(log)
  const hostile: Buffer[] = []
  const broker = await scriptedBroker(1, {
    metadata: (_, answer) => answerMetadata(answer, [broker], [{ name: TOPIC, partitions: 1 }]),
    fetch: (request, answer) => {
      for (let i = 0; i < 4; i++) request.int32()
      request.int8()
      request.int32()
      request.int32()
      const [asked = 0] = readByTopic(request, () => {
        request.int32()
        request.int32()
        const offset = request.int64()
        request.int64()
        request.int32()
        return offset
      })
      answer.raw(hostile.shift() ?? answerOf(asked >= END ? NOTHING : peacefulFetch(asked, codecs)))
    },
  })
  const transport = createKafkaTransport(
    { brokers: [broker.address], clientId: 'reader', maxUnpackedBytes: MOST_UNPACKED, requestTimeoutMs: 2_000 },
    { clock: impatientClock(), log },
  )
  await transport.connect({ timeoutMs: 10_000 })
  return {
    ...{ codecs, hostile, transport },
    [Symbol.asyncDispose]: async () => {
      await transport.close()
      await broker[Symbol.asyncDispose]()
    },
  }
}

type Site = Awaited<ReturnType<typeof setUp>>

/** Offsets and values up to the end of the log, or the error that ended reading. */
async function readAll({ transport }: Site, position: number): Promise<readonly string[] | Error> {
  const reader = transport.reader({ isolation: 'read-committed' })
  const limit = setTimeout(() => void reader.close(), 10_000)
  const read: string[] = []
  try {
    reader.assign({ topic: TOPIC, partition: 0 }, position)
    for await (const { records, nextOffset } of reader.batches()) {
      for (const { offset, value } of records) read.push(`${offset}=${value?.toString('hex')}`)
      if (nextOffset >= END) return read
    }
    throw new Error('Nothing came for ten seconds.')
  } catch (thrown) {
    return toError(thrown)
  } finally {
    clearTimeout(limit)
    await reader.close()
  }
}

function valuesOf(fetched: HostileFetch, codecs: Site['codecs']): readonly string[] {
  const { records } = readStrictly(fetched.data, { ...fetched, codecs, maxUnpackedBytes: MOST_UNPACKED })
  return records.map(({ offset, value }) => `${offset}=${value ?? undefined}`)
}

test(
  `each of ${ATTACKS} answers with hostile batches is read correctly, or the error names topic, partition and offset; seed ${SEED}`,
  { timeout: 300_000 },
  async () => {
    await using site = await setUp()
    const dice = new Dice(SEED)
    let mended = 0
    for (let attack = 0; attack < ATTACKS; attack++) {
      const fetched = hostileFetch(dice, site.codecs)
      const right = readStrictly(fetched.data, { ...fetched, codecs: site.codecs, maxUnpackedBytes: MOST_UNPACKED })
      site.hostile.splice(0, Infinity, answerOf(fetched))
      const read = await readAll(site, fetched.position)
      const what = `attack ${attack}: ${fetched.changes.join('; ')}; from ${fetched.position}; strictly: ${right.wrong}; ${String(read)}`
      if (read instanceof Error) {
        expect(
          isMillraceError(
            read,
            'DECODE_FAILED',
            'OFFSET_UNSAFE',
            'BATCH_TOO_LARGE',
            'COMPRESSION_MISSING',
            'BATCH_CORRUPT',
          ),
          what,
        ).toBe(true)
        expect(read.message, what).toMatch(/Topic "t" partition 0, offsets? -?\d/)
        expect(right.wrong, what).toBeDefined()
        continue
      }
      if (right.wrong === undefined) continue
      // Damaged data was fetched again, and intact records before it are not read twice.
      mended++
      const before = valuesOf(fetched, site.codecs)
      expect(read.slice(0, before.length), what).toEqual(before)
    }
    expect(mended).toBeGreaterThan(ATTACKS / 30)
  },
)

test('batches that stay damaged end reading after three fetches, and name topic, partition and offset', async () => {
  await using site = await setUp()
  const whole = peacefulFetch(0, site.codecs)
  const data = Buffer.from(whole.data)
  data.writeUInt8(data.readUInt8(data.length - 1) ^ 1, data.length - 1)
  for (let i = 0; i < 3; i++) site.hostile.push(answerOf({ ...whole, data }))
  expect(await readAll(site, 0)).toMatchObject({
    code: 'BATCH_CORRUPT',
    message: expect.stringMatching(/Topic "t" partition 0, offsets 12 to 15: The checksum/),
  })
})

test('a broker that keeps answering with records before the position ends reading', async () => {
  await using site = await setUp()
  const stale = peacefulFetch(0, site.codecs)
  for (let i = 0; i < 9; i++) site.hostile.push(answerOf({ ...stale, data: stale.data.subarray(0, 100) }))
  const before = answerOf({ ...stale, data: stale.data.subarray(0, 12 + stale.data.readInt32BE(8)) })
  site.hostile.splice(0, Infinity, before, before, before)
  expect(await readAll(site, 3)).toMatchObject({
    code: 'BATCH_CORRUPT',
    message: expect.stringMatching(/Topic "t" partition 0, offset 3: The broker was asked for offset 3/),
  })
})

test(
  `after each of ${ATTACKS} answers with a changed byte, reading continues over another connection or names what it cannot read`,
  { timeout: 300_000 },
  async () => {
    await using site = await setUp()
    const dice = new Dice(SEED)
    const whole = peacefulFetch(0, site.codecs)
    const right = valuesOf(whole, site.codecs)
    for (let attack = 0; attack < ATTACKS; attack++) {
      const answer = answerOf(whole)
      const head = answer.length - whole.data.length
      const place = dice.below(head)
      const kind = dice.below(4)
      let damaged = Buffer.from(answer)
      if (kind === 0) damaged = damaged.subarray(0, dice.below(answer.length))
      else if (kind === 1) damaged.writeUInt8(dice.below(256), place)
      else if (kind === 2) damaged.fill(dice.of([0, 127, 128, 255]), place, Math.min(place + 1 + dice.below(8), head))
      else damaged.writeUInt8(damaged.readUInt8(place) ^ (1 << dice.below(8)), place)
      site.hostile.splice(0, Infinity, damaged)
      const read = await readAll(site, 0)
      const what = `attack ${attack}: kind ${kind} at ${place}; ${String(read)}`
      if (read instanceof Error) {
        expect(isMillraceError(read), what).toBe(true)
        expect(read.message, what).toMatch(/(?:Partition |Topic ")t"?(?:\/0| partition 0)/)
      }
      // No checksum covers the list of aborted transactions.
      else expect(right, what).toEqual(expect.arrayContaining(read.filter((one) => !/^[67]=/.test(one))))
    }
  },
)
