import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NO_HEADERS, systemClock, type Logger, type OutgoingRecord } from '@millrace/core'
import { checkDataFile } from './check-data-file.ts'
import { EmbeddedTransport } from '../embedded-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const place = mkdtempSync(join(tmpdir(), 'millrace-damage-'))
const sound = join(place, 'sound')
let copies = 0

const newTransport = (directory: string): EmbeddedTransport =>
  new EmbeddedTransport({ directory }, { clock: systemClock(), log: silent })

async function connectError(directory: string): Promise<unknown> {
  const transport = newTransport(directory)
  try {
    await transport.connect({ timeoutMs: 1000 })
    return undefined
  } catch (error) {
    return error
  } finally {
    await transport.close()
  }
}

/** A copy of the sound log, to be damaged. */
function copyLog(): string {
  const directory = join(place, `copy ${++copies}`)
  mkdirSync(directory)
  for (const name of ['millrace-log.mdb', 'millrace-log.json']) copyFileSync(join(sound, name), join(directory, name))
  return directory
}

function overwrite(path: string, position: number, bytes: Buffer): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, position)
  closeSync(fd)
}

/** Wherever a text stands in a file, also on pages that are no longer used. */
function positionsOf(path: string, text: string): readonly number[] {
  const bytes = readFileSync(path)
  const found: number[] = []
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) found.push(at)
  return found
}

function flip(path: string, position: number): void {
  overwrite(path, position, Buffer.from([readFileSync(path).readUInt8(position) ^ 1]))
}

/** What reading the topic from an offset to its end throws. */
async function readError(directory: string, offset: number): Promise<unknown> {
  const transport = newTransport(directory)
  await transport.connect({ timeoutMs: 1000 })
  const reader = transport.reader({ isolation: 'read-committed' })
  reader.assign({ topic: 't', partition: 0 }, offset)
  try {
    for await (const batch of reader.batches()) if (batch.nextOffset >= batch.endOffset) break
    return undefined
  } catch (error) {
    return error
  } finally {
    await transport.close()
  }
}

beforeAll(async () => {
  const transport = newTransport(sound)
  await transport.connect({ timeoutMs: 1000 })
  await transport.admin().createTopics([{ name: 't', partitions: 1, replicationFactor: -1, config: {} }])
  const producer = transport.producer()
  for (let round = 0; round < 50; round++) {
    const records = Array.from({ length: 20 }, (_, index): OutgoingRecord => ({
      topic: 't',
      partition: 0,
      key: null,
      value: Buffer.from(`marker ${round * 20 + index}`.padEnd(300, '.')),
      headers: NO_HEADERS,
      timestamp: 1,
    }))
    await producer.send(records, { guard: () => {} })
  }
  await transport.close()
})

afterAll(() => rmSync(place, { recursive: true, force: true }))

describe('a damaged log', () => {
  it('is not reported for a sound log or its copy', async () => {
    expect(checkDataFile(join(sound, 'millrace-log.mdb'))).toBeUndefined()
    expect(await connectError(sound)).toBeUndefined()
    expect(await connectError(copyLog())).toBeUndefined()
  })

  const damages: Readonly<Record<string, (data: string) => void>> = {
    'cut to half': (data) => truncateSync(data, Math.floor(statSync(data).size / 2)),
    'cut to one page': (data) => truncateSync(data, 4096),
    'cut by its last page': (data) => truncateSync(data, statSync(data).size - 4096),
    emptied: (data) => truncateSync(data, 0),
    'replaced by text': (data) => writeFileSync(data, 'hello '.repeat(10_000)),
    missing: (data) => rmSync(data),
    'without its first page': (data) => overwrite(data, 0, Buffer.alloc(4096, 0xaa)),
    'without its second page': (data) => overwrite(data, 4096, Buffer.alloc(4096, 0xaa)),
  }
  for (const [name, damage] of Object.entries(damages)) {
    it(`that is ${name} is LOG_CORRUPT, not a signal`, async () => {
      const directory = copyLog()
      damage(join(directory, 'millrace-log.mdb'))
      const error = await connectError(directory)
      expect(error).toMatchObject({ code: 'LOG_CORRUPT', message: expect.stringContaining(directory) })
    })
  }

  // Anywhere in a row: what it says of itself, of a record, or the record.
  for (const [place, position] of Object.entries({ 'its value': 0, 'the length of its key': -12, 'its time': -16 })) {
    it(`with a record changed on disk (${place}) ends reading with LOG_CORRUPT, naming the place`, async () => {
      const directory = copyLog()
      const data = join(directory, 'millrace-log.mdb')
      for (const at of positionsOf(data, 'marker 510.')) flip(data, at + position)
      expect(await readError(directory, 0)).toMatchObject({
        code: 'LOG_CORRUPT',
        message: expect.stringMatching(/"t" partition 0 .*500/),
      })
    })
  }

  it('with a wrong length in a row ends reading from its middle with LOG_CORRUPT', async () => {
    const directory = copyLog()
    const data = join(directory, 'millrace-log.mdb')
    // The span of the row, in front of its first record.
    for (const at of positionsOf(data, 'marker 500.')) flip(data, at - 24 - 24 + 12)
    expect(await readError(directory, 510)).toMatchObject({
      code: 'LOG_CORRUPT',
      message: expect.stringMatching(/"t" partition 0 /),
    })
  })

  it('of another format is LOG_VERSION, one with an unreadable marker LOG_CORRUPT', async () => {
    const directory = copyLog()
    const marker = join(directory, 'millrace-log.json')
    for (const format of [1, 99]) {
      writeFileSync(marker, JSON.stringify({ format, durability: 'disk' }))
      expect(await connectError(directory)).toMatchObject({
        code: 'LOG_VERSION',
        message: expect.stringMatching(
          new RegExp(`has format ${format}; this version reads format 2.*move the directory`),
        ),
      })
    }
    for (const text of ['not json', '{"format":2,"durability":"desk"}', '{"format":2}']) {
      writeFileSync(marker, text)
      expect(await connectError(directory)).toMatchObject({ code: 'LOG_CORRUPT' })
    }
  })
})

describe('a directory that cannot be used', () => {
  it('is LOG_UNUSABLE: a file, or something below a file', async () => {
    const file = join(place, 'file')
    writeFileSync(file, 'x')
    for (const directory of [file, join(file, 'below')]) {
      expect(await connectError(directory)).toMatchObject({
        code: 'LOG_UNUSABLE',
        message: expect.stringContaining(directory),
      })
    }
  })

  it('is LOG_UNUSABLE if its name is too long for the system', async () => {
    expect(await connectError(join(place, 'n'.repeat(300)))).toMatchObject({ code: 'LOG_UNUSABLE' })
    expect(await connectError(join(place, ...Array(25).fill('n'.repeat(200))))).toMatchObject({ code: 'LOG_UNUSABLE' })
  })

  it('is accepted with spaces and other scripts in its name, or deeply nested', async () => {
    expect(await connectError(join(place, 'with a space', 'ünï ☃'))).toBeUndefined()
    expect(await connectError(join(place, ...Array(10).fill('d'.repeat(200))))).toBeUndefined()
  })

  it('is LOG_UNUSABLE if it was created with another durability', async () => {
    const transport = new EmbeddedTransport(
      { directory: sound, durability: 'process' },
      { clock: systemClock(), log: silent },
    )
    await expect(transport.connect({ timeoutMs: 1000 })).rejects.toMatchObject({ code: 'LOG_UNUSABLE' })
    await transport.close()
  })
})
