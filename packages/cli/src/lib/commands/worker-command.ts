import { MillraceError, toError, whenAborted } from '@millrace/core'
import type { AppDescription, CommandColors, WorkerDescription } from '@millrace/core/operations'
import { keepAlive } from '../process/keep-alive.ts'
import { SIGNAL_EXIT_CODES } from '../process/signals.ts'
import { availableCores } from '../processes/available-cores.ts'
import type { SiblingLink } from '../processes/sibling-link.ts'
import { command, type Command, type CommandContext } from './command-context.ts'

/** `worker`: runs the app until a signal or a fatal error. */
export const workerCommand: Command = command({
  name: 'worker',
  describe: 'Run a worker of the app',
  showsSettings: true,
  examples: ['worker -p 6066', 'worker --broker kafka://localhost:9092 --log-level warn'],
  logsToOutput: true,
  run: async (context) => {
    if (context.siblings !== undefined) return runSibling(context, context.siblings)
    const count = processCount(context)
    return count === 1 ? runWorker(context, { introduces: true, onReady: () => {} }) : supervise(context, count)
  },
})

/** The number of processes to run. Throws `SETTING_INVALID` if the processes could not work together. */
function processCount({ app }: CommandContext): number {
  const { processes } = app.place()
  const count = processes?.count === 'auto' ? availableCores() : (processes?.count ?? 1)
  if (count > 1 && app.describe().broker.startsWith('memory:'))
    throw new MillraceError(
      'SETTING_INVALID',
      `Setting processes is ${count}, and broker is memory:, which each process would have for itself. Use embedded: or Kafka.`,
    )
  return count
}

/** Runs `count` workers in processes of their own, until a signal or until one of them ends for good. */
async function supervise(context: CommandContext, count: number): Promise<number> {
  const { app, log, signals, clock, terminal } = context
  introduce(context, count)
  // Only here, because it makes this process one that shares its ports.
  const { Supervisor } = await import('../processes/supervisor.ts')
  const { shutdownTimeoutMs = 0 } = app.place().processes ?? {}
  const words = process.argv.slice(2)
  return new Supervisor({ count, words, shutdownTimeoutMs, signals, clock, log, stderr: terminal.stderr }).run()
}

/** Runs the worker of one of several processes. */
async function runSibling(context: CommandContext, siblings: SiblingLink): Promise<number> {
  const { app, signals } = context
  siblings.onTellTasks(() => app.worker()?.tasks ?? 0)
  siblings.onStop(() => {
    // The signal of a terminal reaches all processes by itself.
    if (signals.received() === undefined) process.kill(process.pid, 'SIGTERM')
  })
  const exitCode = await runWorker(context, {
    introduces: false,
    onReady: () => void siblings.tell({ kind: 'ready' }),
  })
  if (signals.received() !== undefined) await siblings.tell({ kind: 'stopped' })
  return exitCode
}

export interface WorkerRun {
  /** Logs the worker's identity before it starts. */
  readonly introduces: boolean
  /** The worker has joined and recovered. */
  readonly onReady: () => void
}

/** Runs the app until a signal or a fatal error. Returns the exit code. */
export async function runWorker(context: CommandContext, run: WorkerRun): Promise<number> {
  const release = keepAlive(context.clock)
  try {
    return await work(context, run)
  } finally {
    release()
  }
}

async function work(context: CommandContext, { introduces, onReady }: WorkerRun): Promise<number> {
  const { app, log, signals, clock } = context
  const beganMs = clock.monotonic()
  const starting = app.start()
  // Both promises are awaited below, perhaps after one has failed.
  starting.catch(() => undefined)
  const ended = app.finished()
  ended.catch(() => undefined)
  if (introduces) introduce(context)

  const stopping = whenAborted(signals.signal)
  await Promise.race([starting, stopping, ended])
  if (!signals.signal.aborted) {
    await starting
    log.info({ tasks: app.worker()?.tasks, startedInMs: Math.round(clock.monotonic() - beganMs) }, 'Worker is ready')
    onReady()
    await Promise.race([ended, stopping])
  }
  if (signals.signal.aborted) await drain(context)
  await ended
  log.info({}, 'Worker has stopped')
  // Nobody asked for this end, so the exit code must not report a clean stop.
  return signals.received() === 'outputGone' ? SIGNAL_EXIT_CODES.outputGone : 0
}

async function drain({ app, log, signals, pretty, terminal }: CommandContext): Promise<void> {
  if (pretty) terminal.stderr.write('\n')
  log.info({ signal: signals.received() }, 'Stopping: finishing what is in flight. A second signal quits at once')
  try {
    await app.stop()
  } catch (error) {
    log.error({ err: toError(error) }, 'Worker could not stop in order')
    throw error
  }
}

function introduce({ app, log, pretty, quiet, terminal, cli }: CommandContext, processes = 1): void {
  const description = app.describe()
  const facts = { description, worker: app.worker(), node: process.version, pid: process.pid, processes }
  if (pretty) {
    if (!quiet) terminal.stdout.write(`${banner(facts, cli.color)}\n`)
    return
  }
  const { id, version, broker, store, processingGuarantee, agents, tables } = description
  log.info(
    {
      app: id,
      worker: facts.worker?.id,
      version,
      broker,
      store,
      processingGuarantee,
      agents: agents.length,
      tables: tables.length,
      node: facts.node,
      ...(processes === 1 ? {} : { processes }),
    },
    'Worker is starting',
  )
}

export interface BannerFacts {
  readonly description: AppDescription
  readonly worker: WorkerDescription | undefined
  readonly node: string
  readonly pid: number
  readonly processes: number
}

const NAMES_SHOWN = 6

/** The banner that a person sees when a worker starts. */
export function banner({ description, worker, node, pid, processes }: BannerFacts, color: CommandColors): string {
  const { id, version, broker, store, processingGuarantee, agents, tables } = description
  const lines: readonly (readonly [label: string, value: string])[] = [
    ['app', color.bold(id)],
    ...(worker === undefined ? [] : [['worker', worker.id] as const]),
    ['broker', broker],
    ['store', store],
    ['guarantee', processingGuarantee],
    ['agents', counted(agents, color)],
    ['tables', counted(tables, color)],
    ['process', `pid ${pid}, Node.js ${node}`],
    ...(processes === 1 ? [] : [['processes', String(processes)] as const]),
  ]
  const body = lines.map(([label, value]) => `${color.cyan('│')} ${color.dim(label.padEnd(10))} ${value}`)
  return [`${color.cyan('╭─')} ${color.bold('millrace')} ${version}`, ...body, color.cyan('╰─')].join('\n')
}

function counted(things: readonly { readonly name: string }[], color: CommandColors): string {
  if (things.length === 0) return '0'
  const names = things.slice(0, NAMES_SHOWN).map(({ name }) => name)
  const rest = things.length > NAMES_SHOWN ? ', …' : ''
  return `${things.length}  ${color.dim(names.join(', ') + rest)}`
}
