import type { AppDescription, CommandColors, WorkerDescription } from '@millrace/core'

export interface BannerFacts {
  readonly description: AppDescription
  readonly worker: WorkerDescription | undefined
  readonly node: string
  readonly pid: number
}

const NAMES_SHOWN = 6

/** What a person wants to see when a worker starts. */
export function banner({ description, worker, node, pid }: BannerFacts, color: CommandColors): string {
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
