import { formatDuration, isMillraceError } from '@millrace/core'
import { option, positional } from '../arguments/grammar.ts'
import { cellText } from '../output/foreign-text.ts'
import { command, type Command, type CommandContext } from './command-context.ts'
import { liveOfStats, type RunningWatermark, runningWatermarks } from './running-watermarks.ts'
import { readFromWorker } from './worker-site.ts'

/** What holds a watermark for so long although there are events is worth a line of its own. */
const LONG_MS = 60_000

/** `watermarks [NAME]`: how far event time has come on all workers, and what holds it back. Needs a running worker. */
export const watermarksCommand: Command = command({
  name: 'watermarks',
  describe: 'Show how far event time has come in windows, joins and timers, and which event or partition holds it back',
  options: [
    option('worker', {
      type: 'string',
      describe: 'Site of any worker of the app, http://host:port; without it the one on this machine at web.port',
    }),
  ],
  positionals: [positional('name', { required: false, describe: 'Only of this table, join or repartition topic' })],
  examples: ['watermarks', 'watermarks counts-tumbling-1m', 'watermarks --json --worker http://10.0.0.7:6066'],
  run: async (context) => {
    const { app, cli, json, values, terminal } = context
    const name = values['name'] === undefined ? undefined : String(values['name'])
    const { watermarks, silent } = runningWatermarks(await liveOf(context))
    const found = watermarks.filter((each) => name === undefined || each.name === name).toSorted(byPlace)
    if (json) cli.json(found.map(jsonOf))
    else if (found.length === 0) cli.say(noneText(app.id, name))
    else {
      cli.table(found.map(rowOf))
      const stuck = found.flatMap((each) => stuckText(each) ?? [])
      if (stuck.length > 0) cli.say(`\n${stuck.map(cellText).join('\n')}`)
    }
    for (const text of silent) terminal.stderr.write(`${cellText(text)}\n`)
    return 0
  },
})

/** The answer of `/live/?of=app`; in an app without the dashboard, which has that page, that of one site alone. */
async function liveOf(context: CommandContext): Promise<unknown> {
  try {
    return (await readFromWorker(context, '/live/?of=app')).body
  } catch (error) {
    if (!isMillraceError(error, 'ACTION_REFUSED')) throw error
    const { worker = 'unknown', body } = await readFromWorker(context, '/stats')
    return liveOfStats(body, worker)
  }
}

function noneText(app: string, name: string | undefined): string {
  const of = name === undefined ? '' : ` of the name "${cellText(name)}"`
  return `Nothing${of} keeps event time on the running workers of the app "${app}": no windows, joins of streams or timers by event time.`
}

function byPlace(a: RunningWatermark, b: RunningWatermark): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return a.task.localeCompare(b.task, 'en', { numeric: true })
}

function jsonOf({ watermark, behindMs, waitsFor, heldBy, ...place }: RunningWatermark): object {
  return {
    ...place,
    watermark: watermark ?? null,
    behindMs: behindMs ?? null,
    waitsFor: waitsFor ?? null,
    heldBy:
      heldBy === undefined ? null : { ...heldBy, offset: heldBy.offset ?? null, upstream: heldBy.upstream ?? null },
  }
}

function rowOf({ name, kind, task, worker, watermark, behindMs, heldBy }: RunningWatermark): Record<string, unknown> {
  return {
    name: kind === 'topic' ? `into topic ${name}` : name,
    task,
    worker,
    watermark: watermark ?? 'no event yet',
    behind: behindMs === undefined ? '' : lengthOf(behindMs),
    'held by': heldBy?.why ?? (watermark === undefined ? '' : 'nothing: all of its partitions are idle'),
    since: heldBy?.since ?? '',
  }
}

/** A line about an event that does not finish, or records that are not handed out: people think that windows hang. */
function stuckText({ name, task, heldBy }: RunningWatermark): string | undefined {
  if (heldBy === undefined || (heldBy.reason !== 'event' && heldBy.reason !== 'records')) return undefined
  const { forMs } = heldBy
  if (forMs < LONG_MS) return undefined
  return `${name} (task ${task}) has stood still for ${lengthOf(forMs)}: ${heldBy.why}. Until then its windows stay open and its timers wait.`
}

/** Rounded to a unit that leaves about two digits: `850ms`, `42s`, `17m`, `36h`. */
function lengthOf(ms: number): string {
  if (ms < 0) return `-${lengthOf(-ms)}`
  const unitMs = ms >= 36_000_000 ? 3_600_000 : ms >= 600_000 ? 60_000 : ms >= 1000 ? 1000 : 1
  return formatDuration(Math.round(ms / unitMs) * unitMs)
}
