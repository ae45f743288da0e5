// Run by a test, in a process of its own that the test kills: commits round after round and prints each that is done.
import { createLmdbStore } from '../lmdb-store.ts'

const [, , directory = '', mode = 'commit'] = process.argv
const store = createLmdbStore({ directory })
const partitions = await Promise.all([0, 1, 2].map((partition) => store.open('counts', partition)))
let round = (partitions[0]?.checkpoint()?.offset ?? 0) + 1
process.stdout.write(`open ${store.workerId}\n`)
if (mode === 'hold') setInterval(() => {}, 1000)
else {
  for (; ; round++) {
    const offset = round
    const changes = partitions.map((partition) => ({
      partition,
      // Each round rewrites every row, so that a torn commit would leave rows of two rounds.
      rows: Array.from({ length: 200 }, (_, i) => ({
        key: Buffer.from(`key ${i}`),
        value: Buffer.from(String(offset)),
      })),
      checkpoint: { topicId: 'topic', offset, wallTimeMs: 0 },
    }))
    await store.commit(changes)
    process.stdout.write(`${offset}\n`)
  }
}
