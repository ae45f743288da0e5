import { jsonPage, type BuiltInDeps, type BuiltInPages } from './built-in-deps.ts'
import { graphOf } from './graph.ts'
import { readiness } from './health.ts'
import { statsOf } from './stats.ts'

/** Pages about this worker and its app. */
export function figurePages(deps: BuiltInDeps): BuiltInPages {
  const { site, worker, metrics } = deps
  return {
    '/': jsonPage(() => ({
      app: site.describe().id,
      version: site.describe().version,
      worker: deps.workerIfAny()?.context.id,
      status: deps.workerIfAny()?.stats().status,
      pages: deps.pages(),
    })),
    '/stats': jsonPage(() => statsOf(site, worker())),
    '/metrics': async (c) =>
      c.text(await metrics.text(metricsSource(deps)), { headers: { 'content-type': metrics.contentType } }),
    '/graph/': jsonPage(() => graphOf(site.describe(), site.flows())),
    '/jobs/': jsonPage(() => worker().jobs()),
    '/assignment/': jsonPage(() => {
      const { memberId, tasks, group, unassigned } = worker().assignment()
      return { memberId, tasks, group: Object.fromEntries(group), unassigned }
    }),
  }
}

function metricsSource(deps: BuiltInDeps): Parameters<BuiltInDeps['metrics']['text']>[0] {
  const worker = deps.workerIfAny()
  if (worker === undefined) return undefined
  const { sources, outbox } = worker.stats()
  return { stats: statsOf(deps.site, worker), sources, outbox, ready: readiness(deps).ready }
}
