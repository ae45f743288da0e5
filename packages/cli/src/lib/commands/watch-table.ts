import { isMillraceError, jsonText } from '@millrace/core'
import type { ServerEvent } from '@millrace/core/http'
import type { WindowsRequest } from '@millrace/core/operations'
import { cellText } from '../output/foreign-text.ts'
import { keepAlive } from '../process/keep-alive.ts'
import type { CommandContext } from './command-context.ts'
import { eventsOfWorker } from './worker-site.ts'

/** How long a watch waits before it asks again, and how often it does that without an answer. */
const AGAIN_MS = 1_000
const MOST_ATTEMPTS = 60

export interface TableWatch {
  readonly table: string
  /** `undefined`: the rows of the range. */
  readonly key: string | undefined
  readonly windows: WindowsRequest
  readonly range: Readonly<Record<string, string>>
}

/**
 * Shows each change of a table until a signal. When the worker has ended its answer, or does not answer any more, it is asked
 * again for a minute. Throws `WORKER_UNREACHABLE`, `ACTION_REFUSED`.
 */
export async function watchTable(context: CommandContext, watch: TableWatch): Promise<number> {
  const { clock, cli, terminal } = context
  const { signal } = cli
  const release = keepAlive(clock)
  let lastId: string | undefined
  let attempts = MOST_ATTEMPTS
  let isSaid = false
  try {
    for (;;) {
      try {
        for await (const event of eventsOfWorker(context, pathOf(watch), lastId)) {
          lastId = event.id ?? lastId
          attempts = 0
          isSaid = false
          show(context, watch, event)
        }
      } catch (error) {
        signal.throwIfAborted()
        if (!isMillraceError(error, 'WORKER_UNREACHABLE') || ++attempts > MOST_ATTEMPTS) throw error
      }
      if (!isSaid) terminal.stderr.write('The worker has ended its answer; it is asked again.\n')
      isSaid = true
      await clock.sleep(AGAIN_MS, signal)
    }
  } catch (error) {
    // The signal is the normal end.
    if (!signal.aborted) throw error
  } finally {
    release()
  }
  return 0
}

function pathOf({ table, key, windows, range }: TableWatch): string {
  const query = new URLSearchParams(key === undefined ? range : { key })
  for (const [name, time] of Object.entries(windows)) if (time !== undefined) query.set(name, String(time))
  return `/table/${encodeURIComponent(table)}/watch?${query.toString()}`
}

/** One line each, so that a reader need not wait for the next one. */
function show({ cli, json, terminal }: CommandContext, { table }: TableWatch, { event, data }: ServerEvent): void {
  if (event !== 'value' && event !== 'delete') return
  const { key, value } = rowIn(data)
  const isDeleted = event === 'delete'
  if (json)
    terminal.stdout.write(
      `${jsonText(isDeleted ? { name: table, key, deleted: true } : { name: table, key, value })}\n`,
    )
  else cli.say(`${cli.color.bold(cellText(key))}  ${isDeleted ? cli.color.dim('deleted') : cellText(value)}`)
}

function rowIn(data: string): { readonly key: unknown; readonly value: unknown } {
  const row: unknown = JSON.parse(data)
  const of = (name: string): unknown => (typeof row === 'object' && row !== null ? Reflect.get(row, name) : undefined)
  return { key: of('key'), value: of('value') }
}
