import type { CommandColors, CommandOutput } from '@millrace/core'
import pc from 'picocolors'
import { progressBar } from './progress-bar.ts'
import { wantsColor, type Terminal } from './terminal.ts'
import { textTable, toJson } from './text-table.ts'

export interface OutputOptions {
  readonly json: boolean
  readonly color: boolean
  readonly quiet: boolean
  readonly signal: AbortSignal
}

/** What a command writes with. With `--json` only JSON goes to the output; sentences go to the error output. */
export function commandOutput(terminal: Terminal, { json, color, quiet, signal }: OutputOptions): CommandOutput {
  const { stdout, stderr, env } = terminal
  const writeLine = (text: string): unknown => stdout.write(`${text}\n`)
  const painted: CommandColors = pc.createColors(wantsColor(json ? stderr : stdout, env, color))
  return {
    say: (text) => {
      if (json) stderr.write(`${text}\n`)
      else writeLine(text)
    },
    table: (rows) => {
      if (json) writeLine(toJson(rows, 2))
      else if (rows.length > 0) writeLine(textTable(rows, painted))
    },
    json: (value) => {
      writeLine(toJson(value, 2))
    },
    color: painted,
    progress: (total) => progressBar(total, quiet ? { write: () => undefined } : stderr),
    signal,
  }
}
