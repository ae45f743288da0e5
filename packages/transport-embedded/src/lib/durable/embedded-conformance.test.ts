import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { systemClock, type Logger } from '@millrace/core'
import { transportSuite } from '@millrace/conformance'
import { EmbeddedTransport } from './embedded-transport.ts'

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
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))
