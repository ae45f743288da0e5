import type { AssignmentView } from '@millrace/worker'
import type { PageContext } from '../pages/page-context.ts'
import { jsonPage, type BuiltInPages, type BuiltInTools, type PageListing, type SiteTools } from './site-tools.ts'
import { mergedText, type MetricsData } from '../metrics/prometheus.ts'
import type { MetricsSource } from '../metrics/worker-metrics.ts'
import { PageError } from '../pages/page-error.ts'
import { mergeStats } from '../processes/merge-stats.ts'
import type { ProcessAnswers } from '../processes/processes.ts'
import type { SiteStats } from '../site-stats.ts'
import type { Flow } from '../site-app.ts'
import { graphOf, nodeOf } from './graph.ts'
import { readiness } from './health.ts'
import { SharedLookups } from './shared-lookups.ts'

/** One for each worker of the process. */
const TEXTS_AT_A_TIME = 64
const TEXT_LIMIT_MS = 10_000

/** Pages about this worker and its app. */
export function statsPages(deps: BuiltInTools): BuiltInPages {
  const { site, workers, stats, metrics, processes } = deps
  const allStats = processes.question('stats', () => stats(workers.asked()))
  const allMetrics = processes.question('metrics', () => metrics.data(metricsSource(deps), processes.own))
  // The page is the same for every caller, so concurrent callers share one.
  const { clock } = site.surroundings
  const texts = new SharedLookups<string>({ clock, atATime: TEXTS_AT_A_TIME, limitMs: TEXT_LIMIT_MS })
  return {
    '/': {
      help: 'App, worker, status and all pages. The app may put its own page here.',
      page: deps.index,
    },
    '/stats': {
      help: 'Statistics of the worker, as `SiteStats`. Of several processes (`processes`) the sums, with `processes` for each of them; `?process=0` shows one alone.',
      page: jsonPage(async (c) => statsAnswer(await allStats(), processes.own, c.query.get('process'))),
    },
    '/metrics': {
      open: () => site.surroundings.settings.web.openMetrics,
      always: true,
      help: 'The same for Prometheus; of several processes (`processes`), each with the label `process`.',
      page: async (c) =>
        c.text(await texts.get(workers.askedIfAny()?.context.id ?? '', () => metricsText(deps, allMetrics), c.signal), {
          headers: { 'content-type': metrics.contentType },
        }),
    },
    '/graph/': {
      help: 'Nodes (topics, agents, tables) and edges: both declared and observed.',
      page: jsonPage(() => graphOf(site.describe(), seenFlows(deps))),
    },
    '/assignment/': {
      help: 'Tasks of this worker, the owners of all tasks, and tasks without an owner.',
      page: jsonPage(() => assignmentAnswer(workers.asked().assignment())),
    },
  }
}

/** The answer of `/stats`: that of one process, or of all that share this site. */
function statsAnswer(
  { own, others, missing }: ProcessAnswers<SiteStats>,
  number: number | undefined,
  wanted: string | null,
): SiteStats | ProcessesStats {
  if (number === undefined) return own
  const all = new Map([...others, [number, own] as const])
  const processes = [...all].sort(([one], [other]) => one - other).map(([process, stats]) => ({ process, ...stats }))
  if (wanted === null) return { ...mergeStats(own, [...others.values()]), processes, missing }
  const found = processes.find(({ process }) => String(process) === wanted)
  if (found !== undefined) return found
  throw new PageError(404, `There is no process "${wanted}" here: they are 0 to ${all.size + missing.length - 1}.`)
}

/** What `/stats` answers for several processes of one machine. */
interface ProcessesStats extends SiteStats {
  readonly processes: readonly (SiteStats & { readonly process: number })[]
  /** Numbers of processes that have not answered. */
  readonly missing: readonly number[]
}

async function metricsText(deps: BuiltInTools, ask: () => Promise<ProcessAnswers<MetricsData>>): Promise<string> {
  const { metrics, processes } = deps
  if (processes.own === undefined) return metrics.text(metricsSource(deps))
  const { own, others } = await ask()
  return mergedText([own, ...others.values()])
}

/** The flows that the asked worker has observed, declared or not. */
function seenFlows({ workers, stats }: BuiltInTools): readonly Flow[] {
  const worker = workers.askedIfAny()
  if (worker === undefined) return []
  return stats(worker).flows.map(({ from, to }) => ({ from: nodeOf(from), to: nodeOf(to) }))
}

/** The source of the metrics; `undefined` if no worker runs in this process. */
export function metricsSource(
  deps: Pick<BuiltInTools, 'site' | 'workers' | 'stats' | 'stalls'>,
): MetricsSource | undefined {
  const worker = deps.workers.askedIfAny()
  if (worker === undefined) return undefined
  return {
    stats: deps.stats(worker),
    histograms: worker.histograms(),
    ready: readiness(deps).ready,
    waitingLetters: worker.waitingLetters(),
  }
}

/** The answer of `/`: the app, the worker, and all pages. */
export function indexAnswer(
  c: PageContext,
  { site, workers, access }: Pick<SiteTools, 'site' | 'workers' | 'access'>,
  pages: readonly PageListing[],
): Response {
  const worker = workers.askedIfAny()
  const app = site.describe()
  return c.json(
    {
      app: app.id,
      version: app.version,
      worker: worker?.context.id,
      status: worker?.stats().status,
      admin: access.mayAct(c),
      pages,
    },
    { headers: { vary: 'accept' } },
  )
}

/** The owners of tasks, as `/assignment/` and the dashboard show them. */
export interface AssignmentAnswer extends Omit<AssignmentView, 'group' | 'members'> {
  /** By task id. */
  readonly group: Readonly<Record<string, { readonly member: string; readonly address: string | undefined }>>
  /** Every member of the group, including those without a task. A member without `address` serves no site. */
  readonly members: readonly { readonly member: string; readonly address: string | undefined }[]
}

export function assignmentAnswer({ group, members, ...rest }: AssignmentView): AssignmentAnswer {
  const known = knownMembers({ group, members })
  return {
    ...rest,
    group: Object.fromEntries(group),
    members: [...known].map(([member, address]) => ({ member, address })),
  }
}

/** The members and the addresses of their sites. A leader of an earlier version lists only members with tasks. */
export function knownMembers({
  group,
  members,
}: Pick<AssignmentView, 'group' | 'members'>): ReadonlyMap<string, string | undefined> {
  return new Map([...[...group.values()].map(({ member, address }) => [member, address] as const), ...members])
}
