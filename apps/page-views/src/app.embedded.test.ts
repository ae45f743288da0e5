import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished, test } from 'vitest'
import { downtimeFlowOn, viewFlowOn } from './on-broker.ts'

async function logForTest(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'page-views-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return `embedded:${directory}`
}

test('the flow on the embedded log', { timeout: 60_000 }, async () => {
  await viewFlowOn(await logForTest(), 'at-least-once')
})

test('an app that was down for a week loses nothing, on the embedded log', { timeout: 60_000 }, async () => {
  await downtimeFlowOn(await logForTest(), 'at-least-once')
})
