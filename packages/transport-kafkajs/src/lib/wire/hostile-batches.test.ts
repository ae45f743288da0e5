import { expect, test } from 'vitest'
import { installedCodecs } from '../compression/installed-codecs.ts'
import { Dice, hostileFetch, MOST_UNPACKED, peacefulFetch, type HostileFetch } from './mutated-batches.fixture.ts'
import { RecordSet, type Decoded } from './record-set.ts'
import { readStrictly, type StrictRecord } from './strict-batches.fixture.ts'
import type { CompressionCodecs } from '../compression/compression.ts'

/** `MILLRACE_ATTACK_SEED` repeats a run. */
const SEED = Number(process.env['MILLRACE_ATTACK_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const ATTACKS = Number(process.env['MILLRACE_ATTACK'] ?? 2_000)
/** A batch of the attacks has a few hundred bytes. */
const LONGEST_MS = 1_000

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

interface Reading {
  readonly records: readonly StrictRecord[]
  readonly wrong: string | undefined
}

function codes(decoded: Decoded): string | undefined {
  return decoded.kind === 'unreadable' ? decoded.error.code : undefined
}

/** What the driver decodes, up to the first batch that it refuses. */
async function read({ data, position, aborted }: HostileFetch, codecs: CompressionCodecs): Promise<Reading> {
  const set = new RecordSet(data, {
    position,
    aborted,
    codecs,
    isolation: 'read-committed',
    verifyChecksums: true,
    maxUnpackedBytes: MOST_UNPACKED,
  })
  const records: StrictRecord[] = []
  let wrong: string | undefined
  for (let rounds = 0; !set.exhausted; rounds++) {
    expect(rounds).toBeLessThan(1_000)
    const decoded = await set.next()
    wrong ??= codes(decoded)
    if (decoded.kind === 'unreadable') {
      expect(decoded.error.code).toMatch(
        /^(?:BATCH_CORRUPT|BATCH_TOO_LARGE|COMPRESSION_MISSING|DECODE_FAILED|OFFSET_UNSAFE)$/,
      )
      expect(decoded.nextOffset ?? Infinity).toBeGreaterThan(decoded.firstOffset)
      continue
    }
    expect(decoded.bytes).toBeLessThan(2 * MOST_UNPACKED)
    if (wrong !== undefined) continue
    for (const { offset, timestamp, key, value, headers } of decoded.records)
      records.push({
        offset: BigInt(offset),
        timestamp,
        key: key?.toString('hex') ?? null,
        value: value?.toString('hex') ?? null,
        headers: headers.map(([name, bytes]) => [name, bytes?.toString('hex') ?? null]),
      })
  }
  return { records, wrong }
}

test(`each of ${ATTACKS} hostile fetches gives the records that the format defines, or an error that says what is wrong; seed ${SEED}`, async () => {
  const codecs = await installedCodecs(silent)
  const dice = new Dice(SEED)
  const refused = new Map<string, number>()
  for (let attack = 0; attack < ATTACKS; attack++) {
    const fetched = hostileFetch(dice, codecs)
    const right = readStrictly(fetched.data, { ...fetched, codecs, maxUnpackedBytes: MOST_UNPACKED })
    const before = performance.now()
    const made = await read(fetched, codecs)
    const what = `attack ${attack}: ${fetched.changes.join('; ')}; from ${fetched.position}; strictly: ${right.wrong}`
    expect(performance.now() - before, what).toBeLessThan(LONGEST_MS)
    expect(made.wrong === undefined, `${what}; ${made.wrong}`).toBe(right.wrong === undefined)
    const known = right.records.map((one, i) =>
      one.timestamp === undefined ? { ...one, timestamp: made.records[i]?.timestamp } : one,
    )
    expect(made.records, what).toEqual(known)
    refused.set(made.wrong ?? 'read', (refused.get(made.wrong ?? 'read') ?? 0) + 1)
  }
  // The attacks reach each kind of refusal, and do not always fail at the first batch.
  for (const code of ['read', 'BATCH_CORRUPT', 'BATCH_TOO_LARGE', 'DECODE_FAILED', 'OFFSET_UNSAFE'])
    expect(refused.get(code), code).toBeGreaterThan(ATTACKS / 2_000)
})

test('the strict reader agrees with the driver on unchanged batches', async () => {
  const codecs = await installedCodecs(silent)
  for (let position = 0; position < 16; position++) {
    const fetched = peacefulFetch(position, codecs)
    const right = readStrictly(fetched.data, { ...fetched, codecs, maxUnpackedBytes: MOST_UNPACKED })
    expect(right.wrong).toBeUndefined()
    expect(await read(fetched, codecs)).toEqual({ records: right.records, wrong: undefined })
  }
})
