import { kebabCase, MillraceError, whenAborted } from '@millrace/core'
import type { CommandDefinition, CommandOutput, CommandParameter } from '@millrace/core/operations'
import type { CommandGrammar, OptionGrammar, ParameterGrammar } from '../arguments/grammar.ts'
import { keepAlive } from '../process/keep-alive.ts'
import { SIGNAL_EXIT_CODES } from '../process/signals.ts'
import { withClient, type Command, type CommandContext } from './command-context.ts'

/** Time for a handler that listens to `cli.signal` to finish. */
const GRACE_MS = 5_000

/** A command that the app defines. */
export function appCommand(definition: CommandDefinition): Command {
  return {
    grammar: grammarOf(definition),
    logsToOutput: false,
    run: async (context) => {
      const release = keepAlive(context.clock)
      try {
        return await withClient(context.app, (client) => run(definition, context, (work) => client.run(work)))
      } finally {
        release()
      }
    },
  }
}

async function run(
  definition: CommandDefinition,
  { values, cli, signals, clock }: CommandContext,
  inScope: (work: () => Promise<void>) => Promise<void>,
): Promise<number> {
  let isListening = false
  const output: CommandOutput = {
    ...cli,
    get signal() {
      isListening = true
      return cli.signal
    },
  }
  let isDone = false
  const handled = inScope(async () => definition.run(values, output)).then(() => {
    isDone = true
  })
  const stopped = whenAborted(signals.signal)
  await Promise.race([handled, stopped])
  // A handler that never asked for the signal cannot react to it, and waiting would make Ctrl-C seem broken.
  if (!isDone && isListening) await Promise.race([handled, clock.sleep(GRACE_MS)])
  if (definition.daemon) await stopped
  const received = signals.received()
  if (received === undefined || isDone || definition.daemon) return 0
  handled.catch(() => undefined)
  return SIGNAL_EXIT_CODES[received]
}

function grammarOf({ name, describe, options, positionals }: CommandDefinition): CommandGrammar {
  return {
    name,
    describe,
    options: Object.entries(options).map(([key, parameter]) => optionOf(key, parameter)),
    positionals: requiredFirst(
      name,
      Object.entries(positionals).map(([key, parameter]) => parameterOf(key, parameter)),
    ),
    showsSettings: false,
  }
}

function optionOf(key: string, parameter: CommandParameter): OptionGrammar {
  return { ...parameterOf(key, parameter), aliases: parameter.alias === undefined ? [] : [parameter.alias] }
}

function parameterOf(
  key: string,
  { type, describe, required, default: standard, choices }: CommandParameter,
): ParameterGrammar {
  return {
    key,
    name: kebabCase(key),
    type,
    describe: describe ?? '',
    required: required ?? false,
    default: standard,
    choices,
    shownDefault: undefined,
  }
}

function requiredFirst(command: string, positionals: readonly ParameterGrammar[]): readonly ParameterGrammar[] {
  const firstOptional = positionals.findIndex(({ required }) => !required)
  const misplaced = firstOptional < 0 ? undefined : positionals.slice(firstOptional).find(({ required }) => required)
  if (misplaced === undefined) return positionals
  throw new MillraceError(
    'DEFINITION_INVALID',
    `The command "${command}" has the required argument "${misplaced.key}" after an optional one.`,
  )
}
