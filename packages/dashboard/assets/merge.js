const ORDER = ['failed', 'stopped', 'stopping', 'starting', 'recovering', 'running']

/** Makes one view of the workers that answer: sums, and of what cannot be summed the worst. */
export function mergeWorkers(workers) {
  const all = Object.entries(workers).map(([id, worker]) => ({ id, ...worker }))
  const answering = all.filter(({ answers }) => answers)
  const self = answering.find((worker) => worker.self) ?? answering[0]
  if (self === undefined) return undefined
  const several = all.length > 1
  const sum = (of) => answering.reduce((total, worker) => total + (of(worker.stats) ?? 0), 0)
  return {
    self,
    workers: all,
    several,
    silent: all.filter(({ answers }) => !answers),
    status: ORDER.find((status) => answering.some(({ stats }) => stats.status === status)) ?? 'running',
    agents: mergeNamed(answering, 'agents', mergeAgents),
    tables: mergeNamed(answering, 'tables', mergeTables),
    sources: answering.flatMap(({ stats }) => stats.sources),
    // A worker of an earlier version says nothing of them.
    watermarks: answering.flatMap(({ stats }) => stats.watermarks ?? []),
    flows: mergeFlows(answering),
    jobs: mergeJobs(answering, self.assignment),
    problems: answering.flatMap(({ id, problems, stats }) =>
      problems.map((problem) => ({ ...problem, worker: several ? placeOf(stats, id) : undefined })),
    ),
    point: mergePoints(answering.map(({ point }) => point)),
    rates: { events: sum(({ rates }) => rates?.events), sent: sum(({ rates }) => rates?.sent) },
    lag: sum(({ lag }) => lag),
    errors: sum(({ errorsInFiveMinutes }) => errorsInFiveMinutes),
    commit: oldestCommit(answering),
    assignment: self.assignment,
    rebalance: answering
      .flatMap(({ id, stats }) =>
        stats.lastRebalance === undefined
          ? []
          : [{ ...stats.lastRebalance, worker: several ? placeOf(stats, id) : '' }],
      )
      .toSorted((a, b) => b.at.localeCompare(a.at))[0],
  }
}

export function placeOf({ worker }, id) {
  return worker.port === undefined ? id : `${worker.host}:${worker.port}`
}

/** Sums of five-minute histories, second by second; a worker without a point of its own in one keeps the one before. */
export function mergeHistories(histories) {
  const series = Object.values(histories).filter((points) => points.length > 0)
  if (series.length <= 1) return series[0] ?? []
  const first = Math.min(...series.map((points) => points[0].at))
  const last = Math.min(...series.map((points) => points.at(-1).at))
  const at = series.map(() => 0)
  const merged = []
  for (let now = first; now <= last; now += 1000) {
    const points = series.map((each, index) => {
      while (at[index] + 1 < each.length && each[at[index] + 1].at <= now) at[index]++
      return each[at[index]].at <= now ? each[at[index]] : undefined
    })
    merged.push({ ...mergePoints(points), at: now })
  }
  return merged
}

function mergePoints(given) {
  const points = given.filter((point) => point !== undefined)
  if (points.length === 0) return undefined
  const sum = (name) => points.reduce((total, point) => total + point[name], 0)
  const ages = points.flatMap(({ commitAgeMs }) => commitAgeMs ?? [])
  return {
    at: Math.max(...points.map(({ at }) => at)),
    events: sum('events'),
    sent: sum('sent'),
    lag: sum('lag'),
    commitAgeMs: ages.length === 0 ? null : Math.max(...ages),
    errors: sum('errors'),
  }
}

function mergeNamed(workers, part, merge) {
  const names = [...new Set(workers.flatMap(({ stats }) => Object.keys(stats[part])))]
  return names.map((name) => ({
    name,
    ...merge(workers.flatMap(({ stats }) => (Object.hasOwn(stats[part], name) ? [stats[part][name]] : []))),
  }))
}

function mergeAgents(agents) {
  const sum = (name) => agents.reduce((total, agent) => total + (agent[name] ?? 0), 0)
  const timed = agents.flatMap(({ handling }) => (handling?.samples > 0 ? [handling] : []))
  const samples = timed.reduce((total, handling) => total + handling.samples, 0)
  return {
    received: sum('received'),
    processed: sum('processed'),
    perSecond: agents.some(({ perSecond }) => perSecond !== undefined) ? sum('perSecond') : undefined,
    active: sum('active'),
    concurrency: sum('concurrency'),
    failed: sum('failed'),
    retried: sum('retried'),
    deadLettered: sum('deadLettered'),
    lag: sum('lag'),
    // For all workers; one that has just started may not know it yet.
    paused: agents.map(({ paused }) => paused).find((paused) => paused !== undefined),
    p50Ms: samples === 0 ? undefined : timed.reduce((total, each) => total + each.p50Ms * each.samples, 0) / samples,
    p99Ms: samples === 0 ? undefined : Math.max(...timed.map(({ p99Ms }) => p99Ms)),
    samples,
  }
}

function mergeTables(tables) {
  const first = tables[0]
  const sum = (name) => tables.reduce((total, table) => total + (table[name] ?? 0), 0)
  const recovering = tables.map(({ recovery }) => recovery)
  return {
    kind: first.kind,
    // Every worker has all rows of a global table.
    rows: first.kind === 'global' ? Math.max(...tables.map(({ rows }) => rows)) : sum('rows'),
    partitions: tables.flatMap(({ partitions }) => partitions).toSorted((a, b) => a - b),
    reads: sum('reads'),
    writes: sum('writes'),
    readsPerSecond: sum('readsPerSecond'),
    writesPerSecond: sum('writesPerSecond'),
    cachedBytes: sum('cachedBytes'),
    late: sum('late'),
    windows: mergeWindows(tables.flatMap(({ windows }) => windows ?? [])),
    recovery: {
      state: recovering.some(({ state }) => state === 'recovering')
        ? 'recovering'
        : recovering.some(({ state }) => state === 'done')
          ? 'done'
          : 'none',
      restoredRows: recovering.reduce((total, each) => total + each.restoredRows, 0),
      remainingRows: recovering.reduce((total, each) => total + each.remainingRows, 0),
      rowsPerSecond: recovering.reduce(
        (total, each) => total + (each.state === 'recovering' ? each.rowsPerSecond : 0),
        0,
      ),
    },
  }
}

function mergeWindows(all) {
  if (all.length === 0) return undefined
  const sum = (name) => all.reduce((total, windows) => total + windows[name], 0)
  return {
    open: sum('open'),
    closed: sum('closed'),
    oldestOpen: all.flatMap(({ oldestOpen }) => oldestOpen ?? []).sort()[0],
  }
}

function mergeFlows(workers) {
  const flows = new Map()
  for (const { stats } of workers) {
    for (const { from, to, records, perSecond = 0 } of stats.flows) {
      const key = JSON.stringify([from, to])
      const known = flows.get(key) ?? { from, to, records: 0, perSecond: 0 }
      flows.set(key, { ...known, records: known.records + records, perSecond: known.perSecond + perSecond })
    }
  }
  return [...flows.values()]
}

/** A job of the leader is shown as the leader has it; runs on all workers are counted together. */
function mergeJobs(workers, { leader, memberId }) {
  // The leader may be one that was not asked, or does not answer.
  const elsewhere = leader === undefined || leader.member === memberId ? undefined : (leader.address ?? leader.member)
  const byName = new Map()
  for (const worker of workers) {
    for (const job of worker.jobs) {
      const known = byName.get(job.name)
      const leads = job.onLeader && job.state !== 'waiting-for-leader' && job.state !== 'starting'
      const shown = known === undefined || (leads && !known.leads) || (!job.onLeader && worker.self) ? job : known
      byName.set(job.name, {
        ...shown,
        runs: (known?.runs ?? 0) + job.runs,
        failures: (known?.failures ?? 0) + job.failures,
        skipped: (known?.skipped ?? 0) + job.skipped,
        leads: leads || known?.leads === true,
        leader: leads ? placeOf(worker.stats, worker.id) : known?.leader,
      })
    }
  }
  return [...byName.values()].map((job) =>
    !job.onLeader || job.leads || elsewhere === undefined ? job : { ...job, state: 'elsewhere', leader: elsewhere },
  )
}

function oldestCommit(workers) {
  const commits = workers.flatMap(({ stats }) => (stats.commits.at === undefined ? [] : [stats.commits]))
  return commits.toSorted((a, b) => a.at.localeCompare(b.at))[0]
}
