import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError, packageVersion } from '@millrace/core'
import { type AppDescription, commandLine, type RunningEnvironment } from '@millrace/core/operations'
import { describe, expect, test } from 'vitest'
import { fakeApp, type FakeOptions, fakeTopic } from '../../fixtures/fake-app.ts'
import { runHere } from '../../fixtures/run-here.ts'
import { runMillrace } from '../../fixtures/run-millrace.ts'
import { checkNode } from './check-app.ts'
import { checkDirectories, checkPorts } from './check-resources.ts'
import { checkTables, checkTopics } from './check-topics.ts'

const place: RunningEnvironment = {
  web: { enabled: false, host: '127.0.0.1', port: 0 },
  dataDirectory: '/nowhere',
  logDirectory: undefined,
  storeDirectory: undefined,
}

describe('doctor', () => {
  const doctor = (
    options: FakeOptions,
    words: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): ReturnType<typeof runHere> =>
    runHere(['doctor', ...words], {
      app: fakeApp({ version: packageVersion(import.meta.url), ...options })[commandLine],
      env,
    })

  test('no faults: exit code 0', async () => {
    const { code, stdout } = await doctor({})
    expect(stdout).toContain('Nothing is wrong.')
    expect(stdout).toMatch(/ok +broker +memory: answers\. No worker of the app runs\./)
    expect(stdout).toMatch(/note +topics +Topic "absent" is not there yet/)
    expect(code).toBe(0)
  })

  test('every fault with its fix, exit code 1, also as JSON', async () => {
    const options = {
      version: '0.0.1',
      clientError: new MillraceError('BROKER_UNREACHABLE', 'No broker of kafka://far:9092 answered.'),
    }
    const { code, stdout } = await doctor(options, ['--json'], { MILLRACE_WEB_PROT: '1' })
    expect(code).toBe(1)
    const wrong = JSON.parse(stdout).filter(({ status }: { status: string }) => status === 'wrong')
    expect(wrong).toEqual([
      expect.objectContaining({ name: 'packages', detail: expect.stringContaining('0.0.1') }),
      expect.objectContaining({ name: 'settings', fix: 'Did you mean MILLRACE_WEB_PORT?' }),
      expect.objectContaining({ name: 'broker', detail: expect.stringContaining('kafka://far:9092') }),
    ])
    expect((await doctor(options)).stdout).toContain('2 things are wrong.')
  })

  test('settings of topics, on Kafka with the command that fixes them', async () => {
    const changelog = fakeTopic('fake-word_counts-changelog', {
      role: 'changelog',
      owner: 'word_counts',
      internal: true,
      settings: { replicas: 1 },
    })
    const options = { topics: [changelog], brokers: 3 }
    const { code, stdout } = await doctor(options, ['--broker', 'kafka://far:9092'])
    expect(code).toBe(1)
    expect(stdout).toMatch(
      /wrong +retention .*word_counts.*cleanup\.policy=delete.*\n.*kafka-configs\.sh .*--entity-name fake-word_counts-changelog --add-config cleanup\.policy=compact/,
    )
    expect(stdout).toMatch(/wrong +replicas .*one copy of fake-word_counts-changelog on 3 brokers/)
    expect((await doctor(options)).stdout).toContain('millrace reset')
  })

  test('a store of another version that the app would use is wrong', async () => {
    const storeDirectory = join(tmpdir(), 'tables')
    const { stdout } = await doctor({
      place: { ...place, storeDirectory },
      otherStores: [{ directory: storeDirectory, format: 7 }],
    })
    expect(stdout).toMatch(/wrong +stores .*format 7.*\n.*millrace clean-versions/)
  })

  test('a certificate that the site cannot use', async () => {
    const web = { enabled: true, host: '127.0.0.1', port: 0, scheme: 'https' } as const
    const tls = { cert: 'no PEM', key: '', passphrase: undefined, ca: undefined }
    const { stdout, code } = await doctor({ place: { ...place, web: { ...web, tls } } })
    expect(stdout).toMatch(/wrong +web +SETTING_INVALID: Setting web\.tls\.cert holds no certificate/)
    expect(code).toBe(1)
  })

  test('the real command, also when the app cannot be loaded or named', async () => {
    const broken = await runMillrace(['-A', 'broken/missing-import.ts', 'doctor', '--json'], { typescript: true })
    expect(broken.code).toBe(1)
    expect(JSON.parse(broken.stdout)).toContainEqual(
      expect.objectContaining({ name: 'app', status: 'wrong', detail: expect.stringContaining('does-not-exist') }),
    )
    expect(await runMillrace(['doctor'])).toMatchObject({ code: 1, stdout: expect.stringContaining('none was named') })
    expect(await runMillrace(['doctor', '--jsn'])).toMatchObject({ code: 2, stdout: '' })
  })
})

describe('its checks', () => {
  const topic = (name: string, partitions: number | undefined, created = true): AppDescription['topics'][number] => ({
    name,
    partitions,
    key: undefined,
    value: undefined,
    internal: false,
    created,
  })
  const agent = (...topics: readonly string[]): AppDescription['agents'][number] => ({
    name: 'a',
    topics,
    concurrency: 1,
    help: '',
  })
  const table = (partitions: number | undefined): AppDescription['tables'][number] => ({
    name: 't',
    kind: 'table',
    changelog: 'log',
    key: 'string',
    value: 'number',
    partitions,
    help: '',
  })

  test.each([
    ['v18.20.0', 'wrong'],
    ['v20.18.3', 'wrong'],
    ['v20.19.0', 'ok'],
    ['v24.1.0', 'ok'],
  ])('Node.js %s is %s', (version, status) => {
    expect(checkNode(version).status).toBe(status)
  })

  test('topics that are missing, or have another partition count', () => {
    const found = checkTopics(
      [topic('good', 4), topic('other', 4), topic('soon', undefined), topic('foreign', undefined, false)],
      new Map([
        ['good', 4],
        ['other', 8],
      ]),
    )
    expect(found.map(({ status, detail }) => [status, detail])).toEqual([
      ['ok', '1 topic as declared.'],
      ['wrong', 'A topic is missing, and the app is not to create it: foreign.'],
      ['wrong', 'Topic "other" is declared with 4 partitions; the broker has 8.'],
      ['note', 'Topic "soon" is not there yet; the first worker creates it.'],
    ])
  })

  test.each([
    ['follows its source', undefined, { posts: 4 }, 'ok'],
    ['has its source as declared', 4, {}, 'ok'],
    ['has a count that no source has', 8, { posts: 4 }, 'wrong'],
    ['has a changelog that no source fits', undefined, { posts: 4, log: 2 }, 'wrong'],
    ['is declared in another way than its changelog', 4, { posts: 4, log: 2 }, 'wrong'],
    ['has sources that differ', undefined, { posts: 4, clicks: 8 }, 'note'],
  ] as const)('a table that %s', (_case, partitions, existing, status) => {
    const topics = [topic('posts', 4), topic('clicks', 4)]
    const counts = new Map(Object.entries(existing))
    expect(checkTables({ agents: [agent('posts', 'clicks')], tables: [table(partitions)], topics }, counts)).toEqual([
      expect.objectContaining({ name: 'tables', status }),
    ])
  })

  test('a port that is taken', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      const taken = { ...place, web: { enabled: true, host: '127.0.0.1', port } }
      const wrong = { status: 'wrong', detail: expect.stringContaining(String(port)) }
      expect(await checkPorts(taken, false)).toMatchObject([wrong])
      expect(await checkPorts(taken, true)).toMatchObject([{ status: 'note' }])
      const admin = { ...place, web: { enabled: true, host: '127.0.0.1', port: 0, admin: taken.web } }
      expect(await checkPorts(admin, false)).toMatchObject([
        { status: 'ok' },
        { ...wrong, fix: expect.stringContaining('web.adminPort') },
      ])
      await new Promise((resolve) => server.close(resolve))
      expect(await checkPorts(admin, false)).toMatchObject([{ status: 'ok' }, { status: 'ok' }])
    } finally {
      server.close()
    }
  })

  test('directories that can or cannot be created', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-doctor-'))
    try {
      const file = join(directory, 'file')
      writeFileSync(file, '')
      const found = await checkDirectories({
        ...place,
        logDirectory: join(directory, 'a', 'b'),
        storeDirectory: join(file, 'tables'),
      })
      expect(found).toMatchObject([
        { status: 'ok', detail: expect.stringContaining('can be made') },
        { status: 'wrong', detail: expect.stringContaining(`${file} is no directory`) },
      ])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
