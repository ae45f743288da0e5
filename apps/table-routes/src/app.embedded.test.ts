import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { routeFlows } from './route-flows.ts'

describe('table routes, three workers on one embedded log', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'table-routes-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  routeFlows(() => `embedded:${directory}`)
})
