import { isMillraceError, type App } from '@millrace/app'
import { toError } from '@millrace/core'
import type { FromWorker, ToWorker, WorkerReport } from './worker-messages.ts'

/** What an app adds to what every worker process does. */
export interface WorkerExtras {
  /** Hears every message. */
  readonly hear?: (message: ToWorker) => void
  /** Goes into each report. */
  readonly report?: () => Partial<WorkerReport>
}

/**
 * Runs an app in this process as one worker, for a `WorkerProcess` of the program that started it: it says when it is ready
 * and which partitions move, stops when asked to or on SIGTERM, and ends when that program has died.
 */
export function runWorker(app: App, { hear, report }: WorkerExtras = {}): void {
  const say = (message: FromWorker): void => void process.send?.(message)
  const fail = (thrown: unknown): void => {
    const error = toError(thrown)
    const reason: FromWorker = {
      say: 'failed',
      code: isMillraceError(error) ? error.code : '',
      message: error.message,
    }
    process.send?.(reason, () => process.exit(1))
  }
  const end = async (): Promise<void> => {
    await app.stop()
    process.exit(0)
  }
  const answer = async ({ id, health }: ToWorker & { readonly do: 'report' }): Promise<void> => {
    const found = health === true ? await app.web.fetch(new Request('http://worker/health/ready')) : undefined
    say({
      say: 'report',
      id,
      report: {
        stats: app.stats(),
        ...(found === undefined ? {} : { health: JSON.parse(await found.text()) }),
        rssBytes: process.memoryUsage.rss(),
        peakRssBytes: process.resourceUsage().maxRSS * 1024,
        ...report?.(),
      },
    })
  }

  process.on('message', (message: ToWorker) => {
    if (message.do === 'stop') end().catch(fail)
    else if (message.do === 'report') answer(message).catch(fail)
    hear?.(message)
  })
  process.on('SIGTERM', () => void end().catch(fail))
  process.on('disconnect', () => process.exit(1))

  app.on('rebalanceComplete', (change) => say({ say: 'moved', change }))
  app.start().then(() => say({ say: 'ready' }), fail)
  app.finished().catch(fail)
}
