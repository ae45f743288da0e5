import { DOCS_ADDRESS } from '@millrace/core'
import type { PageContext } from '../pages/page-context.ts'
import { adminFor } from './admin.ts'
import { jsonPage, type BuiltInPages, type BuiltInTools, type PageListing, type SiteTools } from './site-tools.ts'
import type { Flow } from '../site/site-deps.ts'
import { assignmentAnswer } from './assignment.ts'
import { graphOf, nodeOf } from './graph.ts'
import { readiness } from './health.ts'

/** Pages about this worker and its app. */
export function figurePages(deps: BuiltInTools): BuiltInPages {
  const { site, worker, stats, metrics } = deps
  return {
    '/': {
      help: 'App, worker, status and all pages. The app may put its own page here.',
      page: deps.index,
    },
    '/stats': {
      help: 'Statistics of the worker, as `SiteStats`.',
      page: jsonPage(() => stats(worker())),
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
    '/assignment/': {
      help: 'Tasks of this worker, owners of all tasks, tasks without one.',
      page: jsonPage(() => assignmentAnswer(worker().assignment())),
    },
  }
}

/** What goes where on the worker that was asked, beside what the app declares. */
function seenFlows({ workerIfAny, stats }: BuiltInTools): readonly Flow[] {
  const worker = workerIfAny()
  if (worker === undefined) return []
  return stats(worker).flows.map(({ from, to }) => ({ from: nodeOf(from), to: nodeOf(to) }))
}

function metricsSource(deps: BuiltInTools): Parameters<BuiltInTools['metrics']['text']>[0] {
  const worker = deps.workerIfAny()
  if (worker === undefined) return undefined
  return {
    stats: deps.stats(worker),
    histograms: worker.histograms(),
    ready: readiness(deps).ready,
  }
}

/** What `/` answers: which app and worker this is, and all its pages. */
export function indexAnswer(
  c: PageContext,
  { site, workerIfAny }: Pick<SiteTools, 'site' | 'workerIfAny'>,
  pages: readonly PageListing[],
): Response {
  const worker = workerIfAny()
  const app = site.describe()
  return c.json(
    {
      app: app.id,
      version: app.version,
      worker: worker?.context.id,
      status: worker?.stats().status,
      docs: DOCS_ADDRESS,
      admin: adminFor(c, site),
      pages,
    },
    { headers: { vary: 'accept' } },
  )
}
