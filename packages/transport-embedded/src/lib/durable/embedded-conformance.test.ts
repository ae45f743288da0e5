import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { systemClock, type Logger } from '@millrace/core'
import { transportSuite } from '@millrace/conformance'
import { EmbeddedTransport } from '../embedded-transport.ts'

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
const directory = mkdtempSync(join(tmpdir(), 'millrace-log-'))

transportSuite({
  name: 'embedded',
  create: () => new EmbeddedTransport({ directory }, { clock: systemClock(), log: silent }),
  sessionTimeoutMs: 1000,
  accidents: {
    compact: async (topic) => {
      const transport = new EmbeddedTransport({ directory }, { clock: systemClock(), log: silent })
      await transport.connect({ timeoutMs: 1000 })
      await transport.compact(topic)
      await transport.close()
    },
    kill: (transport) => {
      if (transport instanceof EmbeddedTransport) transport.kill()
    },
    expire: async (transport) => {
      if (transport instanceof EmbeddedTransport) await transport.expire()
    },
  },
  skip: {
    'a member that has missed a generation keeps nothing: others may have had its partitions in between':
      'its process cannot be made to hear nothing; membership is the memory log’s, which runs this case',
  },
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

test.skipIf(process.platform === 'win32')('only its owner can read a new log', async () => {
  const made = join(directory, 'made', 'log')
  const transport = new EmbeddedTransport({ directory: made }, { clock: systemClock(), log: silent })
  await transport.connect({ timeoutMs: 1000 })
  await transport.admin().createTopics([{ name: 't', partitions: 1, replicationFactor: -1, config: {} }])
  const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8)
  expect([mode(join(directory, 'made')), mode(made)]).toEqual(['700', '700'])
  const files = readdirSync(made, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  expect(files.map(({ name }) => name)).toContain('millrace-log.mdb')
  for (const { name, parentPath } of files) expect([name, mode(join(parentPath, name))]).toEqual([name, '600'])
  await transport.close()
})
