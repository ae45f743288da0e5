import type { Transport } from '@millrace/core/driver'
import { overriding } from './overriding.ts'

/** As if the last heartbeat were always just now: a worker that has slept goes on as before. */
export function leaseUnchecked(transport: Transport): Transport {
  return overriding(transport, {
    consumer: (options) => overriding(transport.consumer(options), { lastHeartbeatMs: () => Number.MAX_SAFE_INTEGER }),
  })
}
