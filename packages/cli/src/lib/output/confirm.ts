import { createInterface } from 'node:readline/promises'
import { MillraceError } from '@millrace/core'
import type { CommandOutput } from '@millrace/core/operations'
import type { Terminal } from './terminal.ts'

/**
 * Asks the person at the terminal; only `y` or `yes` means yes. Throws `COMMAND_USAGE` without a terminal, because
 * silence is not consent.
 */
export async function confirm(
  question: string,
  { terminal, cli }: { readonly terminal: Terminal; readonly cli: Pick<CommandOutput, 'signal'> },
): Promise<boolean> {
  const { stdin, stderr } = terminal
  if (stdin?.isTTY !== true)
    throw new MillraceError('COMMAND_USAGE', `${question} Nobody can be asked here: say so with --yes.`)
  stderr.write(`${question} [y/N] `)
  const lines = createInterface({ input: stdin })
  try {
    return /^y(es)?$/i.test((await lines.question('', { signal: cli.signal })).trim())
  } catch (error) {
    if (cli.signal.aborted) return false
    throw error
  } finally {
    lines.close()
  }
}
