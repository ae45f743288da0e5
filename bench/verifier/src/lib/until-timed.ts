import { partitionsOf, systemClock } from '@millrace/core'
import type { Transport } from '@millrace/core/driver'
import type { ExpectedTimed } from '../checks/timed-oracle.ts'
import type { Timed } from './timed-app.ts'
import type { VerifierTopics } from './verifier-topics.ts'

/** When nothing of what is missing has come for so long, it does not come any more. */
const QUIET_MS = 40_000
const LOOK_MS = 100

/** Waits until everything that must go off has been told, or nothing of it comes any more; gives how much was not. */
export async function untilTimed(
  transport: Transport,
  { timed: { name, partitions } }: VerifierTopics,
  { kinds }: Pick<ExpectedTimed, 'kinds'>,
): Promise<number> {
  const left = new Set(Object.entries(kinds).flatMap(([kind, ids]) => [...ids.keys()].map((id) => `${kind} ${id}`)))
  const clock = systemClock()
  let lastMs = clock.monotonic()
  const reader = transport.reader({ isolation: 'read-committed' })
  const reading = async (): Promise<void> => {
    for (const one of await reader.offsets(partitionsOf(name, partitions))) reader.assign(one, one.beginning)
    for await (const { records } of reader.batches())
      for (const { value } of records) {
        const { kind, id }: Timed = JSON.parse(String(value))
        if (left.delete(`${kind} ${id}`)) lastMs = clock.monotonic()
      }
  }
  const waiting = async (): Promise<void> => {
    while (left.size > 0 && clock.monotonic() - lastMs < QUIET_MS) await clock.sleep(LOOK_MS)
  }
  try {
    await Promise.race([reading(), waiting()])
  } finally {
    await reader.close()
  }
  return left.size
}
