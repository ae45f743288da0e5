import { jsonText } from '@millrace/core'
import type { CommandColors, CommandOutput, CommandProgress } from '@millrace/core/operations'
import pc from 'picocolors'
import type { ShownTerminal } from './foreign-text.ts'
import { type OutputStream, wantsColor } from './terminal.ts'
import { textTable } from './text-table.ts'

export interface OutputOptions {
  readonly json: boolean
  readonly color: boolean
  readonly quiet: boolean
  readonly signal: AbortSignal
}

/** A command's output. With `--json` only JSON goes to the output, and sentences go to the error output. */
export function commandOutput(terminal: ShownTerminal, { json, color, quiet, signal }: OutputOptions): CommandOutput {
  const { stdout, stderr, env } = terminal
  const writeLine = (text: string): unknown => stdout.write(`${text}\n`)
  const painted: CommandColors = pc.createColors(wantsColor(json ? stderr : stdout, env, color))
  return {
    say: (text) => {
      if (json) stderr.write(`${text}\n`)
      else writeLine(text)
    },
    table: (rows) => {
      if (json) writeLine(jsonText(rows, 2))
      else if (rows.length > 0) writeLine(textTable(rows, painted))
    },
    json: (value) => {
      writeLine(jsonText(value, 2))
    },
    color: painted,
    progress: (total) => progressBar(total, quiet ? { write: () => undefined } : terminal.raw.stderr),
    signal,
  }
}

const WIDTH = 30

/** A progress bar that redraws itself, at most once a percent; silent without a terminal. */
export function progressBar(total: number, stream: OutputStream): CommandProgress {
  if (stream.isTTY !== true) return { tick: () => undefined, done: () => undefined }
  let steps = 0
  let drawn = -1
  const draw = (): void => {
    const share = total > 0 ? Math.min(steps / total, 1) : 1
    const percent = Math.floor(share * 100)
    if (percent === drawn) return
    drawn = percent
    const filled = Math.round(share * WIDTH)
    stream.write(`\r${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${percent}% ${steps}/${total}`)
  }
  draw()
  return {
    tick: (count = 1) => {
      steps += count
      draw()
    },
    done: () => {
      stream.write('\r\u001B[K')
    },
  }
}
