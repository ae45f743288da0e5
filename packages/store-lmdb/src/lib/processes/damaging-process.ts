// Run by a test, in a process of its own because LMDB may end it with a signal: damages a store in many ways, one after
// the other, and looks at what can be read. The last line has how often all was right, a partition was dropped, or the
// store was refused.
import { copyFileSync, closeSync, fstatSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { isMillraceError, type Row, type StorePartition } from '@millrace/core'
import { DataFile, type Snapshot } from '../data-file/data-file.ts'
import { createLmdbStore } from '../lmdb-store.ts'

const [, , directory = '', first = '1', rounds = '100'] = process.argv
const TABLES = ['counts', 'sums'] as const
const PARTITIONS = 2
const ROWS = 600

type Random = (below: number) => number

/** Rows as they must be, of one table partition. Some have large values, some keys longer than LMDB takes. */
function rowsOf(table: string, partition: number): readonly (Row & { readonly value: Buffer })[] {
  return Array.from({ length: ROWS }, (_, i) => ({
    key: Buffer.from(`key ${i}`.padEnd(i % 97 === 5 ? 2500 : 0, '.')),
    value: Buffer.alloc(i % 101 === 7 ? 9000 : 20 + (i % 90), `${table} ${partition} ${i} `),
  }))
}

async function fill(place: string): Promise<void> {
  const store = createLmdbStore({ directory: place })
  for (const table of TABLES) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const opened = await store.open(table, partition)
      const rows = rowsOf(table, partition)
      // Several commits, so that there are free pages with old rows on them.
      for (const part of [0, 1, 2, 0])
        await store.commit([
          {
            partition: opened,
            rows: rows.filter((_, i) => i % 3 === part),
            checkpoint: { topicId: table, offset: 100 + part, wallTimeMs: 1 },
          },
        ])
    }
  }
  await store.close()
}

function isRight(partition: StorePartition, rows: readonly (Row & { readonly value: Buffer })[]): boolean {
  const all = partition.range()
  return (
    partition.rows === rows.length &&
    all.length === rows.length &&
    rows.every(({ key, value }) => partition.get(key)?.equals(value) === true)
  )
}

type Outcome = 'right' | 'dropped' | 'refused'

async function look(place: string): Promise<Outcome> {
  let outcome: Outcome = 'right'
  try {
    const store = createLmdbStore({ directory: place })
    try {
      for (const table of TABLES) {
        for (let number = 0; number < PARTITIONS; number++) {
          const partition = await store.open(table, number)
          const rows = rowsOf(table, number)
          if (partition.damage !== undefined) {
            outcome = 'dropped'
            if (partition.rows !== 0 || partition.checkpoint() !== undefined) throw new Error('It is not empty.')
            await store.commit([{ partition, rows, checkpoint: { topicId: table, offset: 100, wallTimeMs: 1 } }])
          } else if (!(partition.checkpoint()?.offset === 100)) throw new Error('It has a wrong checkpoint.')
          if (!isRight(partition, rows)) throw new Error('Rows are wrong.')
          // Writing uses pages that are free, and frees others.
          const again = rows.filter((_, i) => i % 5 === 0)
          await store.commit([
            { partition, rows: again.map(({ key }) => ({ key, value: null })), checkpoint: undefined },
          ])
          await store.commit([{ partition, rows: again, checkpoint: undefined }])
          if (!isRight(partition, rows)) throw new Error('Rows are wrong after writing.')
        }
      }
    } finally {
      await store.close()
    }
  } catch (thrown) {
    if (!isMillraceError(thrown, 'STORE_CORRUPT')) throw thrown
    return 'refused'
  }
  return outcome
}

/** Numbers that look random and are the same for the same seed. */
function randomFrom(seed: number): Random {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

function snapshotOf(path: string): Snapshot {
  const file = new DataFile(path)
  file.close()
  return file.snapshot
}

function damage(path: string, random: Random): string {
  const fd = openSync(path, 'r+')
  try {
    const pages = fstatSync(fd).size / PAGE
    // A few pages stand for the whole file: they would be hit too seldom.
    const page = random(6) === 0 ? (heads[random(heads.length)] ?? 0) : random(pages)
    const write = (position: number, bytes: Buffer): void => void writeSync(fd, bytes, 0, bytes.length, position)
    const read = (position: number, length: number): Buffer => {
      const bytes = Buffer.alloc(length)
      readSync(fd, bytes, 0, length, position)
      return bytes
    }
    const kind = random(8)
    switch (kind) {
      case 0:
        write(page * PAGE, Buffer.alloc(PAGE, random(256)))
        return `page ${page} overwritten`
      case 1:
        write(page * PAGE, read(random(pages) * PAGE, PAGE))
        return `page ${page} replaced by another`
      case 2:
        write(page * PAGE + random(PAGE - 64), Buffer.alloc(64, random(256)))
        return `64 bytes of page ${page}`
      default: {
        // Headers and what follows them matter most.
        const position = page * PAGE + random(kind < 6 ? 64 : PAGE)
        const byte = read(position, 1)
        byte.writeUInt8(byte.readUInt8(0) ^ (1 << random(8)))
        write(position, byte)
        return `byte ${position % PAGE} of page ${page}`
      }
    }
  } finally {
    closeSync(fd)
  }
}

const sound = join(directory, 'sound')
await fill(sound)
const { pageSize: PAGE, ...sheet } = snapshotOf(join(sound, 'data.mdb'))
// Both meta pages, and the roots of the trees that everything is found by.
const heads = [0, 1, sheet.free.root ?? 0, sheet.main.root ?? 0]
const counts = { right: 0, dropped: 0, refused: 0 }
for (let seed = Number(first); seed < Number(first) + Number(rounds); seed++) {
  const place = join(directory, `damaged ${seed}`)
  mkdirSync(place)
  for (const file of ['data.mdb', 'millrace-store.json']) copyFileSync(join(sound, file), join(place, file))
  const what = damage(join(place, 'data.mdb'), randomFrom(seed))
  process.stdout.write(`${seed}: ${what}\n`)
  const outcome = await look(place)
  // What was rebuilt is right for good.
  if (outcome === 'dropped' && (await look(place)) !== 'right') throw new Error('What was rebuilt is damaged.')
  counts[outcome]++
  rmSync(place, { recursive: true })
}
process.stdout.write(`${counts.right} ${counts.dropped} ${counts.refused}\n`)
