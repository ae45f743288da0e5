import type { LmdbBackend } from '../durable/lmdb-backend.ts'
import type { StoredTopic } from '../log/log-backend.ts'
import { numericSetting } from '../log/topic-settings.ts'

const ROWS_A_STEP = 256

export interface ExpireOptions {
  readonly now: number
  readonly pause: () => Promise<void>
}

/** Deletes the rows that were appended longer ago than the topic's `retention.ms`, in steps. -1 keeps all. */
export async function expireRecords(
  backend: LmdbBackend,
  at: { readonly topic: string; readonly partition: number },
  options: ExpireOptions,
): Promise<void> {
  for (let more = true; more;) {
    more = backend.look((contents) => {
      const topic = contents.topic(at.topic)
      const { start, end } = topic === undefined ? { start: 0, end: 0 } : contents.bounds(topic, at.partition)
      return (
        topic !== undefined &&
        start < end &&
        contents.frame(topic, at.partition, start).appendedAt < horizon(topic, options.now)
      )
    })
    if (!more) return
    await backend.change('quiet', (contents) => {
      const topic = contents.topic(at.topic)
      if (topic === undefined) return
      const before = horizon(topic, options.now)
      let { start } = contents.bounds(topic, at.partition)
      const { end } = contents.bounds(topic, at.partition)
      for (let rows = 0; start < end && rows < ROWS_A_STEP; rows++) {
        const { span, appendedAt } = contents.frame(topic, at.partition, start)
        if (appendedAt >= before) break
        contents.removeRow(topic, at.partition, start)
        start += span
      }
      contents.putStart(topic, at.partition, start)
    })
    await options.pause()
  }
}

function horizon(topic: StoredTopic, now: number): number {
  const retentionMs = numericSetting(topic, 'retention.ms')
  return retentionMs < 0 ? -Infinity : now - retentionMs
}
