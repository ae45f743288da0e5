import { dirname } from 'node:path'
import {
  hasSystemCode,
  isMillraceError,
  jsonText,
  MillraceError,
  packageVersion,
  redactor,
  secretsOfEnvironment,
  systemClock,
  toError,
} from '@millrace/core'
import type { CommandLineApp } from '@millrace/core/operations'
import pc from 'picocolors'
import { type AppLocation, locateApp } from './apps/locate-app.ts'
import { nearestPackage } from './apps/nearest-package.ts'
import { type CommonOptions, globalOptions, readCommonOptions } from './arguments/common-options.ts'
import type { Grammar } from './arguments/grammar.ts'
import { settingOptions } from './arguments/setting-options.ts'
import type { Command } from './commands/command-context.ts'
import { builtInCommands, commandsOf } from './commands/commands.ts'
import { completionCommand, printCompletion } from './commands/completion-command.ts'
import { devCommand } from './commands/dev-command.ts'
import { doctorCommand, doctorWithoutApp } from './commands/doctor-command.ts'
import { COMPLETE } from './completion/completion-script.ts'
import { completionsOf, NO_NAMES } from './completion/completions-of.ts'
import { devWorkerCommand, isDevWorker, waitAsSpare } from './dev/dev-worker.ts'
import { commandOutput } from './output/command-output.ts'
import { describeFailure, failureFacts } from './output/describe-failure.ts'
import { type ShownTerminal, shownTerminal } from './output/foreign-text.ts'
import { type Terminal, wantsColor, widthOf } from './output/terminal.ts'
import { watchSignals } from './process/signals.ts'
import { exitCodeOf, WrongUsage } from './process/exit-code.ts'
import { runCommand } from './run-command.ts'

/** Options of `runCli`; all have defaults. */
export interface CliOptions {
  /** The app itself, when the app's own file is what runs: there is then no `-A`. */
  readonly app?: CommandLineApp
  /** Absolute path of the file of `app`. */
  readonly appFile?: string
  /** How the person called us, for usage lines. Default `millrace`. */
  readonly program?: string
  /** Default: that of the process. */
  readonly terminal?: Terminal
}

/**
 * Runs one command and returns its exit code: 0 done, 1 failed, 2 wrong usage, 130 and 143 ended by a signal. Never
 * rejects: failures are described on the error output.
 *
 * @param words what was typed after the program's name
 * @example
 * process.exitCode = await runCli(process.argv.slice(2))
 */
export async function runCli(words: readonly string[], options: CliOptions = {}): Promise<number> {
  const given = options.terminal ?? {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    env: process.env,
  }
  const terminal = shownTerminal(given, (stream) => wantsColor(stream, given.env, !words.includes('--no-color')))
  try {
    return await runWords(words, options, terminal)
  } catch (error) {
    const { stderr, env } = terminal
    const color = pc.createColors(wantsColor(stderr, env, !words.includes('--no-color')))
    const reason = error instanceof WrongUsage ? error.reason : error
    const stack = words.includes('--debug')
    const text = words.includes('--json') ? jsonText(failureFacts(reason)) : describeFailure(reason, color, { stack })
    stderr.write(`${redactor(secretsOfEnvironment(env))(text)}\n`)
    return exitCodeOf(error)
  }
}

async function runWords(words: readonly string[], options: CliOptions, terminal: ShownTerminal): Promise<number> {
  if (words[0] === '--version') return showVersion(terminal, words.includes('--json'))
  if (words[0] === COMPLETE) return complete(words.slice(1), options, terminal)
  const { parseWords } = await import('./arguments/yargs-engine.ts')
  const { readArguments, readGlobals } = await import('./arguments/read-arguments.ts')

  // The app decides which commands there are, and options decide which app: so the words are read twice.
  const program = options.program ?? 'millrace'
  const plain = grammarOf(program, options, builtInCommands)
  const firstLook = await parseWords(plain, words)
  const common = readCommonOptions(readGlobals(plain, firstLook))
  if (common.version) return showVersion(terminal, common.json)
  if (common.workDirectory !== undefined) enterDirectory(common.workDirectory)
  if (common.help || words.length === 0) return showHelp({ words, options, common, program, terminal })

  if (firstLook.command === completionCommand.grammar.name)
    return printCompletion(readArguments(plain, firstLook).values, terminal)

  const isDev = firstLook.command === devCommand.grammar.name
  if (isDev && !isDevWorker(terminal.env)) {
    readArguments(plain, firstLook)
    return develop({ words, options, common, program, terminal })
  }
  if (options.app === undefined) readDotEnv()

  let location: AppLocation | undefined
  let app = options.app
  try {
    location = locate(options, common, terminal)
    if (isDev && location !== undefined) await waitAsSpare(location.file)
    app ??= location === undefined ? undefined : await load(location)
    if (app === undefined && firstLook.command === doctorCommand.grammar.name) throw noApp(firstLook.command)
  } catch (error) {
    if (firstLook.command !== doctorCommand.grammar.name) throw error
    // What was typed is judged first: a misspelt option is no finding.
    readArguments(plain, firstLook)
    const { json, color, quiet } = common
    const cli = commandOutput(terminal, { json, color, quiet, signal: new AbortController().signal })
    return doctorWithoutApp(error, cli, { terminal, json })
  }
  const commands = app === undefined ? builtInCommands : commandsOf(app)
  const grammar = grammarOf(program, options, commands)
  const {
    command: chosen,
    settings,
    values,
  } = readArguments(grammar, app === undefined ? firstLook : await parseWords(grammar, words))
  const command = commands.find(({ grammar: { name } }) => name === chosen.name)
  if (app === undefined || command === undefined) throw noApp(chosen.name)
  return runCommand({
    app,
    appFile: options.appFile ?? location?.file,
    command: isDev ? developed(app, terminal) : command,
    values,
    settings,
    common,
    terminal,
    clock: systemClock(),
  })
}

/** Words for the shell, one a line. Without an app that can be loaded, those that need none: never an error. */
async function complete(words: readonly string[], options: CliOptions, terminal: Terminal): Promise<number> {
  const { parseWords } = await import('./arguments/yargs-engine.ts')
  const { readGlobals } = await import('./arguments/read-arguments.ts')
  const plain = grammarOf(options.program ?? 'millrace', options, builtInCommands)
  let grammar = plain
  let names = NO_NAMES
  try {
    const common = readCommonOptions(readGlobals(plain, await parseWords(plain, words.slice(0, -1))))
    if (common.workDirectory !== undefined) enterDirectory(common.workDirectory)
    const location = locate(options, common, terminal)
    const app = options.app ?? (location === undefined ? undefined : await load(location))
    if (app !== undefined) {
      const { topics, agents, tables } = app.describe()
      const nameOf = ({ name }: { readonly name: string }): string => name
      names = { topics: topics.map(nameOf), agents: agents.map(nameOf), tables: tables.map(nameOf) }
      grammar = grammarOf(plain.program, options, commandsOf(app))
    }
  } catch (error) {
    terminal.stderr.write(`Names of the app are not completed: ${toError(error).message}\n`)
  }
  for (const word of completionsOf(grammar, names, words)) terminal.stdout.write(`${word}\n`)
  return 0
}

interface HelpRequest {
  readonly words: readonly string[]
  readonly options: CliOptions
  readonly common: CommonOptions
  readonly program: string
  readonly terminal: Terminal
}

/** Help also when the app cannot be loaded: then without its own commands, saying so. */
async function showHelp({ words, options, common, program, terminal }: HelpRequest): Promise<number> {
  const { helpText } = await import('./arguments/yargs-engine.ts')
  let commands: readonly Command[] = builtInCommands
  try {
    const location = locate(options, common, terminal)
    const app = options.app ?? (location === undefined ? undefined : await load(location))
    if (app !== undefined) commands = commandsOf(app)
  } catch (error) {
    terminal.stderr.write(
      `The app's own commands are missing here: ${isMillraceError(error) ? error.detail : toError(error).message}\n\n`,
    )
  }
  const stream = common.help ? terminal.stdout : terminal.stderr
  stream.write(`${await helpText(grammarOf(program, options, commands), words, widthOf(stream))}\n`)
  return common.help ? 0 : 2
}

/** `dev`: starts processes that run the app, and never loads it here. Ends at the first signal. */
async function develop({ words, options, common, terminal }: HelpRequest): Promise<number> {
  const file = options.appFile ?? locate(options, common, terminal)?.file
  if (file === undefined) throw noApp('dev')
  const directory = nearestPackage(dirname(file))?.directory ?? dirname(file)
  const { devLoop } = await import('./dev/dev-loop.ts')
  const clock = systemClock()
  const signals = watchSignals({ clock, source: process, quit: (exitCode) => process.exit(exitCode) })
  try {
    await devLoop({
      words,
      directory,
      signal: signals.signal,
      clock,
      output: terminal.stdout,
      color: pc.createColors(wantsColor(terminal.stdout, terminal.env, common.color)),
      keepsSpare: options.app === undefined,
    })
  } finally {
    signals.close()
  }
  return 0
}

/** An app that names a Kafka of its own is developed on the embedded broker all the same, unless the person names one too. */
function developed(app: CommandLineApp, { env }: Terminal): Command {
  const isElsewhere = app.describe().broker.startsWith('kafka:') && (env['MILLRACE_BROKER'] ?? '') === ''
  return isElsewhere ? { ...devWorkerCommand, defaults: { broker: 'embedded:' } } : devWorkerCommand
}

/** `.env` of the working directory, if there is one; what the environment has already stays. */
function readDotEnv(): void {
  try {
    process.loadEnvFile()
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT')) return
    throw new MillraceError('COMMAND_USAGE', `.env in ${process.cwd()} cannot be read: ${toError(error).message}.`, {
      cause: error,
    })
  }
}

function showVersion({ stdout }: Terminal, json: boolean): number {
  const version = packageVersion(import.meta.url)
  stdout.write(
    json
      ? `${JSON.stringify({ name: 'millrace', version, node: process.version })}\n`
      : `millrace ${version} (Node.js ${process.version})\n`,
  )
  return 0
}

function grammarOf(program: string, options: CliOptions, commands: readonly Command[]): Grammar {
  return {
    program,
    globals: globalOptions({ takesApp: options.app === undefined }),
    settings: settingOptions(),
    commands: commands.map(({ grammar }) => grammar),
  }
}

function locate(options: CliOptions, { app }: CommonOptions, { env }: Terminal): AppLocation | undefined {
  if (options.app !== undefined) return undefined
  return locateApp({ option: app, variable: env['MILLRACE_APP'], directory: process.cwd() })
}

async function load(location: AppLocation): Promise<CommandLineApp> {
  const { loadApp } = await import('./apps/load-app.ts')
  return loadApp(location)
}

function enterDirectory(directory: string): void {
  try {
    process.chdir(directory)
  } catch (error) {
    throw new MillraceError('COMMAND_USAGE', `--workdir ${directory} cannot be entered: ${toError(error).message}.`, {
      cause: error,
    })
  }
}

function noApp(command: string): MillraceError {
  return new MillraceError('APP_NOT_FOUND', `${command} needs an app, and none was named.`)
}
