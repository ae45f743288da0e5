import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, test } from 'vitest'
import { viewFlowOn } from './on-broker.ts'

test('the flow on the embedded log', { timeout: 60_000 }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'page-views-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  await viewFlowOn(`embedded:${directory}`, 'at-least-once')
})
