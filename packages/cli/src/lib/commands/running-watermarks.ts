/** A watermark as a running worker reports it: `WatermarkStats`, with the id of the worker. */
export interface RunningWatermark {
  readonly name: string
  readonly kind: string
  readonly task: string
  readonly partition: number
  readonly worker: string
  readonly watermark: string | undefined
  readonly behindMs: number | undefined
  readonly waitsFor: string | undefined
  readonly heldBy: RunningHold | undefined
}

/** What holds it back. */
export interface RunningHold {
  readonly reason: string
  readonly why: string
  readonly since: string
  readonly forMs: number
  readonly agent: string
  readonly topic: string
  readonly partition: number
  readonly offset: number | undefined
  readonly upstream: string | undefined
}

/** The watermarks of all workers that answered, and those that did not, in words. */
export interface RunningWatermarks {
  readonly watermarks: readonly RunningWatermark[]
  readonly silent: readonly string[]
}

/**
 * Reads the answer of `/live/?of=app`. The workers may run other versions, so whatever does not look like a watermark
 * is left out.
 */
export function runningWatermarks(answer: unknown): RunningWatermarks {
  const workers = Object.entries(fields(fields(answer)['workers']))
  return {
    watermarks: workers.flatMap(([worker, each]) => {
      const { watermarks } = fields(fields(each)['stats'])
      return Array.isArray(watermarks) ? watermarks.flatMap((one: unknown) => runningWatermark(one, worker) ?? []) : []
    }),
    silent: workers.flatMap(([worker, each]) => {
      const { answers, error } = fields(each)
      return answers === false ? [`Worker ${worker} does not answer: ${text(error) ?? 'no reason given'}`] : []
    }),
  }
}

/** The same answer, made from that of `/stats`: of one worker, or of the processes that serve its site together. */
export function liveOfStats(stats: unknown, worker: string): unknown {
  const { processes, missing } = fields(stats)
  if (!Array.isArray(processes)) return { workers: { [worker]: { answers: true, stats } } }
  const answering = processes.map((each: unknown) => {
    const { id } = fields(fields(each)['worker'])
    return [text(id) ?? `process ${String(fields(each)['process'])}`, { answers: true, stats: each }] as const
  })
  const silent = (Array.isArray(missing) ? missing : []).map(
    (process: unknown) =>
      [`process ${String(process)}`, { answers: false, error: 'It is starting or busy, or has just ended.' }] as const,
  )
  return { workers: Object.fromEntries([...answering, ...silent]) }
}

function runningWatermark(value: unknown, worker: string): RunningWatermark | undefined {
  const { name, kind, task, partition, watermark, behindMs, waitsFor, heldBy } = fields(value)
  if (typeof name !== 'string' || typeof task !== 'string' || typeof partition !== 'number') return undefined
  const own = { name, kind: text(kind) ?? 'state', task, partition, worker }
  return {
    ...own,
    watermark: text(watermark),
    behindMs: number(behindMs),
    waitsFor: text(waitsFor),
    heldBy: hold(heldBy),
  }
}

function hold(value: unknown): RunningHold | undefined {
  const { reason, why, since, forMs, agent, topic, partition, offset, upstream } = fields(value)
  if (typeof reason !== 'string' || typeof why !== 'string' || typeof since !== 'string') return undefined
  if (
    typeof agent !== 'string' ||
    typeof topic !== 'string' ||
    typeof partition !== 'number' ||
    typeof forMs !== 'number'
  )
    return undefined
  return { reason, why, since, forMs, agent, topic, partition, offset: number(offset), upstream: text(upstream) }
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
