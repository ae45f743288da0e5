import { jsonPage, type BuiltInDeps, type BuiltInPages } from './built-in-deps.ts'
import type { Flow } from '../site/site-deps.ts'
import { assignmentAnswer } from './assignment.ts'
import { graphOf, nodeOf } from './graph.ts'
import { readiness } from './health.ts'
import { statsOf } from './stats.ts'

/** Pages about this worker and its app. */
export function figurePages(deps: BuiltInDeps): BuiltInPages {
  const { site, worker, metrics } = deps
  return {
    '/stats': {
      help: 'Figures of the worker, as `StatsAnswer`.',
      page: jsonPage(() => deps.watches.find(worker())?.stats() ?? statsOf(site, worker())),
    },
    '/metrics': {
      help: 'The same for Prometheus.',
      page: async (c) =>
        c.text(await metrics.text(metricsSource(deps)), { headers: { 'content-type': metrics.contentType } }),
    },
    '/graph/': {
      help: 'Nodes (topics, agents, tables) and edges: those declared, and those that events were seen to take.',
      page: jsonPage(() => graphOf(site.describe(), [...site.flows(), ...seenFlows(deps)])),
    },
    '/jobs/': {
      help: 'Tasks, timers and cron jobs.',
      page: jsonPage(() => worker().jobs()),
    },
    '/assignment/': {
      help: 'Tasks of this worker, owners of all tasks, tasks without one.',
      page: jsonPage(() => assignmentAnswer(worker().assignment())),
    },
  }
}

/** What goes where on the worker that was asked, beside what the app declares. */
function seenFlows({ workerIfAny, site }: BuiltInDeps): readonly Flow[] {
  const worker = workerIfAny()
  if (worker === undefined) return []
  return statsOf(site, worker).flows.map(({ from, to }) => ({ from: nodeOf(from), to: nodeOf(to) }))
}

function metricsSource(deps: BuiltInDeps): Parameters<BuiltInDeps['metrics']['text']>[0] {
  const worker = deps.workerIfAny()
  if (worker === undefined) return undefined
  const { sources, outbox, changedRows } = worker.stats()
  return {
    stats: statsOf(deps.site, worker),
    sources,
    outbox,
    changedRows,
    histograms: worker.histograms(),
    ready: readiness(deps).ready,
  }
}
