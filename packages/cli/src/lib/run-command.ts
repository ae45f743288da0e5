import { type Clock, isMillraceError, type Logger, toError, unknownEnvironment } from '@millrace/core'
import type { CommandLineApp, CommandLineRuntime } from '@millrace/core/operations'
import type { CommonOptions } from './arguments/common-options.ts'
import type { ParameterValues } from './arguments/grammar.ts'
import type { Command } from './commands/command-context.ts'
import { commandOutput } from './output/command-output.ts'
import { createLogger, type LogLevel, type OpenLogger } from './output/create-logger.ts'
import type { ShownTerminal } from './output/foreign-text.ts'
import { wantsColor, type Terminal } from './output/terminal.ts'
import { watchSignals } from './process/signals.ts'
import { siblingLink } from './processes/sibling-link.ts'
import { WrongUsage } from './process/exit-code.ts'

export interface CommandRequest {
  readonly app: CommandLineApp
  readonly appFile: string | undefined
  readonly command: Command
  readonly values: ParameterValues
  readonly settings: Readonly<Record<string, string>>
  readonly common: CommonOptions
  readonly terminal: ShownTerminal
  readonly clock: Clock
}

/** Sets up a command's logger, signals and output, runs it, and closes them. Returns the exit code. */
export async function runCommand(request: CommandRequest): Promise<number> {
  const { app, appFile, command, values, settings, common, terminal, clock } = request
  const { json, quiet, color } = common
  const logStream = command.logsToOutput ? terminal.stdout : terminal.stderr
  const siblings = siblingLink(terminal.env, clock)
  const pretty = logStream.isTTY === true && !(json && command.logsToOutput)
  const logger: OpenLogger = await createLogger({
    level: levelOf(command, common),
    file: common.logFile,
    stream: logStream,
    pretty,
    color: wantsColor(logStream, terminal.env, color),
    process: siblings?.index,
    onLost: (text) => void terminal.stderr.write(`${text}\n`),
  })
  const signals = watchSignals({
    clock,
    source: process,
    // Other commands exit at once when the reader of their output leaves.
    ...(command.logsToOutput ? { listenFor: ['SIGINT', 'SIGTERM', 'outputGone'] } : {}),
    // Only the supervisor decides when one of several processes has had enough time.
    quit: (exitCode) => (siblings === undefined ? process.exit(exitCode) : undefined),
  })
  try {
    if (command.logsToOutput) warnOfUnknownVariables(terminal, logger.log)
    configure(app, { ...command.defaults, ...settings }, { log: logger.log, appFile, siblings })
    const cli = commandOutput(terminal, { json, color, quiet, signal: signals.signal })
    return await command.run({
      ...{ app, values, cli, log: logger.log, signals, siblings, clock, terminal, pretty, json, quiet },
    })
  } catch (error) {
    const isLogged = logger.knows(error) || (pretty && common.logFile === undefined)
    // A usage error concerns only the person, so it goes to the error output.
    if (command.logsToOutput && !isLogged && !(error instanceof WrongUsage)) logger.log.error({ err: error }, 'Failed')
    throw error
  } finally {
    signals.close()
    logger.close()
  }
}

/** An option value that the app refuses is wrong usage; a value from the environment or the app file is not. */
function configure(app: CommandLineApp, settings: Readonly<Record<string, string>>, runtime: CommandLineRuntime): void {
  try {
    app.configure(settings, runtime)
  } catch (error) {
    const isTyped =
      (isMillraceError(error, 'SETTING_INVALID') && /\(--[\w-]+\)/.test(error.detail)) ||
      (isMillraceError(error, 'BROKER_URL_INVALID') && settings['broker'] !== undefined) ||
      (isMillraceError(error, 'STORE_URL_INVALID') && settings['store'] !== undefined)
    throw isTyped ? new WrongUsage(toError(error)) : error
  }
}

/** Warns of misspelt variables. Not an error, because other programs may use variables with the same prefix. */
function warnOfUnknownVariables({ env }: Terminal, log: Logger): void {
  for (const { variable, nearest } of unknownEnvironment(env)) {
    log.warn(
      { variable, nearest },
      nearest === undefined
        ? 'No such setting in the environment'
        : `No such setting in the environment: did you mean ${nearest}?`,
    )
  }
}

function levelOf({ logsToOutput, level }: Command, { logLevel, debug, quiet }: CommonOptions): LogLevel {
  if (logLevel !== undefined) return logLevel
  if (debug) return 'debug'
  return level ?? (logsToOutput && !quiet ? 'info' : 'warn')
}
