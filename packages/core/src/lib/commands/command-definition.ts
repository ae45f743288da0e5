import type {
  CommandArguments,
  CommandDefinition,
  CommandOutput,
  CommandParameter,
  CommandParameters,
  CommandSpec,
} from '../../contracts/app-command.ts'
import { MillraceError } from '../errors/millrace-error.ts'
import { checkOptions, type OptionNames } from '../names/check-options.ts'
import { validateName } from '../names/validate-name.ts'

const SPEC_OPTIONS: OptionNames<CommandSpec<CommandParameters, CommandParameters>> = {
  describe: true,
  options: true,
  positionals: true,
  daemon: true,
}

const PARAMETER_OPTIONS: OptionNames<CommandParameter> = {
  type: true,
  default: true,
  describe: true,
  required: true,
  alias: true,
  choices: true,
}

/** A command as the command line sees it: declared types gone, defaults filled in. */
export function commandDefinition<const O extends CommandParameters, const P extends CommandParameters>(
  name: string,
  spec: CommandSpec<O, P>,
  handler: (values: CommandArguments<O, P>, cli: CommandOutput) => void | Promise<void>,
): CommandDefinition {
  const where = `command "${validateName('command', name)}"`
  if (typeof handler !== 'function')
    throw new MillraceError('DEFINITION_INVALID', `The ${where} needs a function as its last argument.`)
  checkOptions(where, spec, SPEC_OPTIONS)
  for (const [parameter, declared] of Object.entries({ ...spec.options, ...spec.positionals }))
    checkOptions(`${parameter} of ${where}`, declared, PARAMETER_OPTIONS)
  return {
    name,
    describe: spec.describe ?? '',
    options: spec.options ?? {},
    positionals: spec.positionals ?? {},
    daemon: spec.daemon ?? false,
    run: (values: CommandArguments<O, P>, cli: CommandOutput) => handler(values, cli),
  }
}
