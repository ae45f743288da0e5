import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { leaderFlows } from './leader-flows.ts'

describe('jobs of the leader, on one embedded log', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'leader-jobs-log-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  leaderFlows(() => `embedded:${directory}`)
})
