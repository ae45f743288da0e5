// Run by a test, in a process of its own since LMDB may end it: commits until that fails, says why, reads once more,
// and closes.
import { toError } from '@millrace/core'
import { createLmdbStore } from '../lmdb-store.ts'

const [, , directory = ''] = process.argv
const store = createLmdbStore({ directory })
const partition = await store.open('counts', 0)
const say = (line: string): void => void process.stdout.write(`${line}\n`)
try {
  for (let round = 1; round < 1000; round++) {
    const rows = Array.from({ length: 200 }, (_, i) => ({
      key: Buffer.from(`${round} ${i}`),
      value: Buffer.alloc(1000, String(round)),
    }))
    await store.commit([{ partition, rows, checkpoint: { topicId: 'topic', offset: round, wallTimeMs: 0 } }])
    say(String(round))
  }
} catch (thrown) {
  say(toError(thrown).message)
}
say(`${partition.rows} ${partition.range().length} ${partition.checkpoint()?.offset ?? 0}`)
await store.close()
say('closed')
