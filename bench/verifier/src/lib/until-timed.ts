import { partitionsOf, systemClock, withTimeout } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import type { ExpectedTimed } from '../checks/timed-oracle.ts'
import type { Timed } from './timed-app.ts'
import type { VerifierTopics } from './verifier-topics.ts'

/** Waits until everything that must go off has been told, but at most `limitMs`; gives how much was not. */
export async function untilTimed(
  transport: Transport,
  { timed: { name, partitions } }: VerifierTopics,
  { kinds, limitMs }: Pick<ExpectedTimed, 'kinds'> & { readonly limitMs: number },
): Promise<number> {
  const left = new Set(Object.entries(kinds).flatMap(([kind, ids]) => [...ids.keys()].map((id) => `${kind} ${id}`)))
  const reader = transport.reader({ isolation: 'read-committed' })
  const reading = async (): Promise<void> => {
    for (const one of await reader.offsets(partitionsOf(name, partitions))) reader.assign(one, one.beginning)
    if (left.size === 0) return
    for await (const { records } of reader.batches()) {
      for (const { value } of records) {
        const { kind, id }: Timed = JSON.parse(String(value))
        left.delete(`${kind} ${id}`)
      }
      if (left.size === 0) return
    }
  }
  const late = new Error('Not everything was told in time.')
  try {
    await withTimeout(reading(), limitMs, systemClock(), () => late)
  } catch (thrown) {
    if (thrown !== late) throw thrown
  } finally {
    await reader.close()
  }
  return left.size
}
