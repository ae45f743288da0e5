import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@millrace/core'
import { collectLog } from '@millrace/testing'
import { createEmbeddedTransport } from '@millrace/transport-embedded'
import { afterAll, beforeAll, describe } from 'vitest'
import { deadLetterFlows } from './dead-letter-flows.ts'

describe('dead letters, on one embedded log', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'charges-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  deadLetterFlows({
    broker: () => `embedded:${directory}`,
    guarantees: ['at-least-once'],
    transport: async () => createEmbeddedTransport({ directory }, { clock: systemClock(), log: collectLog() }),
  })
})
