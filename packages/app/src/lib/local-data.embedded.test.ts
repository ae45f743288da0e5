import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { runCli, type Terminal } from '@millrace/cli'
import type { AppSettings } from '@millrace/core'
import { commandLine, type LocalData } from '@millrace/core/operations'
import { afterAll, expect, test } from 'vitest'
import { type App, createApp } from './app.ts'

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const root = mkdtempSync(join(tmpdir(), 'millrace-data-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
let directories = 0
const newPlace = (): string => join(root, String(++directories))
const LIMIT = { timeout: 20_000, interval: 10 }
const KEYS = 5

interface Machine {
  readonly place: string
  readonly app: App
  readonly data: LocalData
  send(count: number): Promise<void>
  /** The committed count of each key. */
  counts(): number
}

/** An app that counts, with all its data in one directory. */
function machine(place: string, settings: Omit<AppSettings, 'id'> = {}): Machine {
  const app = createApp(
    {
      id: 'shop',
      broker: 'embedded:',
      store: 'lmdb:',
      dataDirectory: place,
      topicPartitions: 2,
      processingGuarantee: 'exactly-once',
      commitInterval: '20ms',
      // Members in the copied log.
      sessionTimeout: '1s',
      heartbeatInterval: '100ms',
      web: false,
      ...settings,
    },
    { log: quiet },
  )
  const orders = app.topic('orders', { key: 'string', value: 'number' })
  const sums = app.table('sums', { key: 'string', value: 'number', default: () => 0 })
  app.agent('sum', orders, async (stream) => {
    for await (const [key, value] of stream.items()) sums.update(key, (sum) => sum + value)
  })
  let sent = 0
  const { data } = app[commandLine]
  if (data === undefined) throw new Error('An app has data.')
  return {
    place,
    app,
    data,
    send: async (count) => {
      const keys = Array.from({ length: count }, () => `k${sent++ % KEYS}`)
      await Promise.all(keys.map(async (key) => (await orders.send({ key, value: 1 })).metadata()))
    },
    counts: () =>
      Array.from({ length: KEYS }, (_, key) => sums.get(`k${key}`, { committed: true }) ?? 0).reduce(
        (a, b) => a + b,
        0,
      ),
  }
}

async function counted(one: Machine, count: number): Promise<void> {
  await expect.poll(() => one.counts(), LIMIT).toBe(count)
}

const restoredRows = ({ app }: Machine): number => app.stats()?.states['sums']?.recovery.restoredRows ?? Number.NaN
const records = async ({ app }: Machine): Promise<number> => {
  const client = await app[commandLine].client()
  const lag = await client.lag()
  return lag.reduce((sum, { end }) => sum + (end ?? 0), 0)
}

async function millrace({ app }: Machine, words: readonly string[], stdin?: Terminal['stdin']) {
  let [stdout, stderr] = ['', '']
  const terminal: Terminal = {
    stdout: { write: (text) => void (stdout += text) },
    stderr: { write: (text) => void (stderr += text) },
    env: {},
    ...(stdin === undefined ? {} : { stdin }),
  }
  const code = await runCli(words, { app: app[commandLine], appFile: join(root, 'app.ts'), terminal })
  return { code, stdout, stderr }
}

test('a backup of a worker under load is consistent: restored, the app counts each record once and reads no row again', async () => {
  const one = machine(newPlace())
  await one.app.start()
  await one.send(200)
  await counted(one, 200)
  let ended = false
  const load = (async () => {
    while (!ended) await one.send(10)
  })()
  const before = one.counts()
  const backup = newPlace()
  await one.app.backup(backup)
  ended = true
  await load
  await one.app.stop()

  expect(readdirSync(backup).sort()).toEqual(['log', 'millrace-backup.json', 'tables'])
  const files = ['log/millrace-log.mdb', 'tables/data.mdb', 'millrace-backup.json']
  for (const file of files) expect((statSync(join(backup, file)).mode & 0o777).toString(8)).toBe('600')
  const two = machine(newPlace())
  expect(await two.data.restore(backup)).toMatchObject({ appId: 'shop', files: expect.any(Array) })
  await two.app.start()
  const sent = await records(two)
  expect(sent).toBeGreaterThanOrEqual(before)
  await counted(two, sent)
  // The backup has the store, which only lacks commits made after it was copied.
  expect(restoredRows(two)).toBeLessThan(KEYS * 20)
  await two.send(50)
  await counted(two, sent + 50)
  await two.app.stop()
})

test('the command backs up the log alone beside a running worker; stores are rebuilt', async () => {
  const one = machine(newPlace())
  await one.app.start()
  await one.send(100)
  await counted(one, 100)
  const other = machine(one.place)
  const [refused, backup] = [newPlace(), newPlace()]
  expect(await millrace(other, ['backup', refused])).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/STORE_IN_USE[^]*--log-only/),
  })
  expect(readdirSync(refused)).toEqual([])
  const { code, stdout } = await millrace(other, ['backup', backup, '--log-only', '--json'])
  expect([code, JSON.parse(stdout).files.map(({ path }: { path: string }) => path)]).toEqual([
    0,
    ['log/millrace-log.json', 'log/millrace-log.mdb'],
  ])
  await one.app.stop()
  const two = machine(newPlace())
  expect(await millrace(two, ['restore', backup])).toMatchObject({ code: 0, stderr: '' })
  await two.app.start()
  await counted(two, 100)
  await two.app.stop()
})

test('the command backs up a stopped app, and refuses a backup that has changed, is of another app, or would replace data', async () => {
  const one = machine(newPlace())
  await one.app.start()
  await one.send(30)
  await counted(one, 30)
  await one.app.stop()
  const backup = newPlace()
  expect(await millrace(one, ['backup', backup])).toMatchObject({ code: 0, stderr: '' })
  const refused = async (by: Machine, words: readonly string[], why: string): Promise<void> => {
    const { code, stderr } = await millrace(by, words)
    expect([code, stderr]).toEqual([1, expect.stringContaining(why)])
  }
  await refused(one, ['backup', backup], 'takes no backup')
  await refused(one, ['backup', ''], 'BACKUP_REFUSED')
  await refused(one, ['restore', ' '], 'BACKUP_REFUSED')
  const file = newPlace()
  writeFileSync(file, '')
  await refused(one, ['backup', join(file, 'below')], 'BACKUP_FAILED')
  // The log is restored, then the tables find no place: everything is removed again, so that the restore can be
  // repeated.
  const blocked = machine(newPlace(), { store: `lmdb:${join(file, 'tables')}` })
  await refused(blocked, ['restore', backup], 'BACKUP_FAILED')
  expect(readdirSync(blocked.place, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())).toEqual([])
  await refused(one, ['restore', backup], 'already exists')
  const two = machine(newPlace())
  await refused(two, ['restore', newPlace()], 'is not a complete backup')
  await refused(
    machine(newPlace(), { broker: 'memory:', store: 'memory:' }),
    ['backup', newPlace()],
    'keeps nothing on this machine',
  )
  await refused(machine(newPlace(), { broker: 'memory:' }), ['restore', backup], 'keeps nothing of that kind')
  expect(await millrace(two, ['restore', backup])).toMatchObject({ code: 0 })
  await two.app.start()
  await two.send(1)
  await counted(two, 31)
  expect(restoredRows(two)).toBe(0)
  await two.app.stop()

  const manifest = join(backup, 'millrace-backup.json')
  const text = readFileSync(manifest, 'utf8')
  writeFileSync(manifest, text.replace('"shop"', '"stall"'))
  await refused(machine(newPlace()), ['restore', backup], 'a backup of the app "stall"')
  writeFileSync(manifest, text.replace('"format": 1', '"format": 2'))
  await refused(machine(newPlace()), ['restore', backup], 'FORMAT_NEWER')
  writeFileSync(manifest, text)
  appendFileSync(join(backup, 'tables', 'data.mdb'), 'x')
  const three = machine(newPlace())
  await refused(three, ['restore', backup], 'has changed since the backup was made')
  expect(existsSync(three.place)).toBe(false)
})

test('a log is exported as text to a file or a pipe and imported elsewhere, where the app continues', async () => {
  const one = machine(newPlace())
  await one.app.start()
  await one.send(40)
  await counted(one, 40)
  const file = join(root, 'log.jsonl')
  const written = await millrace(machine(one.place), ['embedded', 'export', file])
  expect(written).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^Written: \d+ records of the log in .*, sha256 [0-9a-f]{64}\n$/),
  })
  expect(await millrace(one, ['embedded', 'export', file])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('cannot be made'),
  })
  const piped = await millrace(machine(one.place), ['embedded', 'export', '-'])
  await one.app.stop()
  expect(piped.stdout.startsWith('{"millrace":"log","version":1,')).toBe(true)

  const two = machine(newPlace())
  expect(await millrace(two, ['embedded', 'import', '-'], Readable.from([Buffer.from(piped.stdout)]))).toMatchObject({
    code: 0,
  })
  await two.app.start()
  await counted(two, 40)
  await two.send(5)
  await counted(two, 45)
  await two.app.stop()
  expect(await millrace(two, ['embedded', 'import', file])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('There is a log in'),
  })

  const three = machine(newPlace())
  const cut = new PassThrough()
  cut.end(piped.stdout.slice(0, -100))
  expect(await millrace(three, ['embedded', 'import', '-'], cut)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('cut off'),
  })
  expect(await millrace(three, ['embedded', 'export', '-'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('There is no log'),
  })
  expect(await millrace(three, ['embedded', 'import', file])).toMatchObject({ code: 0 })
  await three.app.start()
  await counted(three, 40)
  await three.app.stop()
})

test('commands that only read create no log; sending creates one, which is then read', async () => {
  const one = machine(newPlace())
  const reading = [
    ...[['topics'], ['lag'], ['table', 'sums'], ['table', 'sums', 'k0'], ['tail', 'orders', '--from', 'beginning']],
    ...[['dlq', 'list'], ['dlq', 'show', 'sum', '--latest'], ['reset', '--dry-run'], ['doctor']],
  ]
  for (const words of reading) {
    const { stderr } = await millrace(one, words)
    expect(stderr).not.toContain('LOG_')
    expect([words, existsSync(one.place)]).toEqual([words, false])
  }
  expect((await millrace(one, ['topics'])).stdout).toMatch(/orders +missing/)

  // The same client that read before.
  const client = await one.app[commandLine].client()
  expect(await client.topics()).toEqual([])
  await client.send('orders', { key: 'k0', value: '1', headers: {}, partition: undefined })
  expect((await client.topics()).map(({ name }) => name)).toEqual(['orders'])
  await client.close()
  expect(existsSync(one.place)).toBe(true)
  expect((await millrace(one, ['tail', 'orders', '--from', 'beginning', '--limit', '1'])).stdout).toContain('k0')
})
