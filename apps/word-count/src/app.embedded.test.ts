import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@millrace/core'
import { collectLog } from '@millrace/testing'
import { createEmbeddedTransport } from '@millrace/transport-embedded'
import { afterAll, beforeAll, describe } from 'vitest'
import { wordCountFlows } from './word-count-flows.ts'

describe('word count, on one embedded log', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'word-count-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  wordCountFlows({
    broker: () => `embedded:${directory}`,
    transport: async () => createEmbeddedTransport({ directory }, { clock: systemClock(), log: collectLog() }),
  })
})
