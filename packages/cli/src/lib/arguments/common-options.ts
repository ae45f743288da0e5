import { LOG_LEVELS, type LogLevel } from '../output/create-logger.ts'
import { option, type OptionGrammar, type ParameterValues } from './grammar.ts'

/** Values of the options that every command has. */
export interface CommonOptions {
  readonly app: string | undefined
  readonly json: boolean
  readonly logLevel: LogLevel | undefined
  readonly logFile: string | undefined
  readonly quiet: boolean
  readonly debug: boolean
  readonly color: boolean
  readonly workDirectory: string | undefined
  readonly help: boolean
  readonly version: boolean
}

/** Their grammar. Without `takesApp` there is no `-A`: the app is the program. */
export function globalOptions({ takesApp }: { readonly takesApp: boolean }): readonly OptionGrammar[] {
  const app = option('app', {
    type: 'string',
    aliases: ['A'],
    describe: 'App file, or file:export. Default: MILLRACE_APP, then "millrace": { "app": … } in package.json',
  })
  return [
    ...(takesApp ? [app] : []),
    option('json', { type: 'boolean', default: false, describe: 'Print JSON' }),
    option('log-level', {
      type: 'string',
      aliases: ['l', 'loglevel'],
      choices: LOG_LEVELS,
      describe: 'Least level of log lines (worker: info; other commands: warn)',
    }),
    option('log-file', {
      type: 'string',
      aliases: ['f', 'logfile'],
      describe: 'Append log lines to this file, as JSON',
    }),
    option('quiet', {
      type: 'boolean',
      aliases: ['q'],
      default: false,
      describe: 'Nothing but results, warnings and errors',
    }),
    option('debug', { type: 'boolean', default: false, describe: 'Log level debug, and stacks of errors' }),
    option('color', { type: 'boolean', default: true, describe: 'Colors on a terminal; --no-color turns them off' }),
    option('workdir', { type: 'string', describe: 'Directory to work in' }),
    option('version', { type: 'boolean', default: false, describe: 'Show the version' }),
    option('help', {
      type: 'boolean',
      aliases: ['h'],
      default: false,
      describe: 'Show this help; after a command: the help of the command',
    }),
  ]
}

export function readCommonOptions(values: ParameterValues): CommonOptions {
  const text = (name: string): string | undefined => (typeof values[name] === 'string' ? values[name] : undefined)
  return {
    app: text('app'),
    json: values['json'] === true,
    logLevel: LOG_LEVELS.find((level) => level === values['log-level']),
    logFile: text('log-file'),
    quiet: values['quiet'] === true,
    debug: values['debug'] === true,
    color: values['color'] !== false,
    workDirectory: text('workdir'),
    help: values['help'] === true,
    version: values['version'] === true,
  }
}
