import { positional, type ParameterValues } from '../arguments/grammar.ts'
import { completionScript, SHELLS } from '../completion/completion-script.ts'
import type { Terminal } from '../output/terminal.ts'
import { command, type Command } from './command-context.ts'

/** `completion bash|zsh|fish`: prints a script that completes commands, options and names of the app. Needs no app. */
export const completionCommand: Command = command({
  name: 'completion',
  describe: 'Print a script that completes commands, options and names in your shell',
  positionals: [positional('shell', { describe: 'Of which shell', choices: SHELLS })],
  run: ({ values, terminal }) => Promise.resolve(printCompletion(values, terminal)),
})

/** Writes the script and returns the exit code. */
export function printCompletion({ shell }: ParameterValues, { stdout }: Terminal): number {
  stdout.write(completionScript(SHELLS.find((known) => known === shell) ?? 'bash', 'millrace'))
  return 0
}
