// A worker of the verifier's app, as a process of its own: `worker.ts worker`.
import { join } from 'node:path'
import { createLmdbStore } from '@millrace/store-lmdb'
import { faultNamed } from '../faults/faults.ts'
import { openTransport } from '../lib/open-transport.ts'
import { runOfThisProcess } from '../lib/verifier-run.ts'
import { verifierApp } from '../lib/verifier-app.ts'
import { endWithParent } from './end-with-parent.ts'

endWithParent()
const run = runOfThisProcess()
const slot = process.env['VERIFIER_SLOT'] ?? '0'
const fault = run.fault === undefined ? undefined : faultNamed(run.fault)

export const app = verifierApp(run, `${slot}-${process.pid}`, {
  broker: (deps) => {
    const transport = openTransport(run.broker, `worker-${slot}`, deps)
    return fault?.wrap?.(transport, run.seed) ?? transport
  },
  store:
    run.store === 'memory' ? 'memory:' : () => createLmdbStore({ directory: join(run.directory, `store-${slot}`) }),
})

await app.main(import.meta)
