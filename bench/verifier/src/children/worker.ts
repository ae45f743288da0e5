// A worker of the verifier's app.
import { join } from 'node:path'
import { toError, type Logger } from '@millrace/core'
import { createLmdbStore } from '@millrace/store-lmdb'
import { defectNamed } from '../defects/defects.ts'
import { openTransport } from '../lib/open-transport.ts'
import { verifierApp } from '../lib/verifier-app.ts'
import type { WorkerPlan } from '../lib/verifier-run.ts'
import { runWorker } from '../workers/run-worker.ts'

const { run, slot }: WorkerPlan = JSON.parse(process.argv[2] ?? '{}')
const defect = run.defect === undefined ? undefined : defectNamed(run.defect)

const writing =
  (level: string): Logger['info'] =>
  (fields, message) => {
    const err = 'err' in fields ? { err: toError(fields.err).stack } : {}
    console.log(JSON.stringify({ level, ...fields, ...err, message }))
  }
const log: Logger = { debug: () => {}, info: writing('info'), warn: writing('warn'), error: writing('error') }

runWorker(
  verifierApp(run, `${slot}-${process.pid}`, {
    log,
    broker: (deps) => {
      const transport = openTransport(run.broker, `worker-${slot}`, deps)
      return defect?.wrap?.(transport, run.seed) ?? transport
    },
    store:
      run.store === 'memory' ? 'memory:' : () => createLmdbStore({ directory: join(run.directory, `store-${slot}`) }),
  }),
)
