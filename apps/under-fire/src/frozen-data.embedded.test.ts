import { systemClock } from '@millrace/core'
import { createEmbeddedTransport } from '@millrace/transport-embedded'
import { collectLog } from '@millrace/testing'
import { expect, test } from 'vitest'
import { fireRun } from './fire-run.ts'
import { frozenBuild } from './frozen-build.ts'
import { EXACT } from './verdict.ts'

const frozen = frozenBuild()

test('goes on in the log and the store that the frozen build has left, and reads none of their rows again', async () => {
  const { data, facts } = frozen()
  const outside = createEmbeddedTransport({ directory: data }, { clock: systemClock(), log: collectLog() })
  await outside.connect({ timeoutMs: 5_000 })
  try {
    await using run = await fireRun({
      outside,
      brokers: '',
      partitions: facts.partitions,
      settings: { broker: `embedded:${data}`, store: `lmdb:${data}` },
      continues: { id: facts.appId, sent: facts.numbers },
    })
    expect(await run.committed()).toBe(facts.numbers)
    await run.send(500)
    const worker = run.start()
    await worker.ready()
    await run.untilDone()
    const { stats } = await worker.report()
    expect(stats?.states['counts']?.recovery.restoredRows).toBe(0)
    expect(worker.output).not.toContain('is rebuilt from its changelog')
    expect(await worker.stop()).toBe(0)
    const verdict = await run.verdict()
    expect(verdict).toMatchObject({ ...EXACT, sent: facts.numbers + 500 })
  } finally {
    await outside.close()
  }
})
