import {
  validateName,
  type CommandArguments,
  type CommandDefinition,
  type CommandOutput,
  type CommandParameters,
  type CommandSpec,
} from '@millrace/core'

/** A command as the command line sees it: declared types gone, defaults filled in. */
export function commandDefinition<const O extends CommandParameters, const P extends CommandParameters>(
  name: string,
  spec: CommandSpec<O, P>,
  handler: (values: CommandArguments<O, P>, cli: CommandOutput) => void | Promise<void>,
): CommandDefinition {
  return {
    name: validateName('command', name),
    describe: spec.describe ?? '',
    options: spec.options ?? {},
    positionals: spec.positionals ?? {},
    daemon: spec.daemon ?? false,
    run: (values: CommandArguments<O, P>, cli: CommandOutput) => handler(values, cli),
  }
}
