import type {
  CommandArguments,
  CommandDefinition,
  CommandOutput,
  CommandParameters,
  CommandSpec,
} from '@millrace/core/operations'
import { expectTypeOf, test } from 'vitest'

// Types that `app.command` infers. The signature is the app's, the types are the contract's.

declare function command<const O extends CommandParameters = {}, const P extends CommandParameters = {}>(
  spec: CommandSpec<O, P>,
  handler: (values: CommandArguments<O, P>, cli: CommandOutput) => void | Promise<void>,
): CommandDefinition

test('a handler gets its values typed from their declarations', () => {
  const define = (): CommandDefinition =>
    command(
      {
        options: {
          maxLatency: { type: 'number', default: 0.5 },
          maxMessages: { type: 'number' },
          dry: { type: 'boolean', required: true },
          format: { type: 'string', choices: ['csv', 'json'], default: 'csv' },
        },
        positionals: { user: { type: 'string', required: true }, country: { type: 'string' } },
      },
      (values, cli) => {
        expectTypeOf(values.maxLatency).toEqualTypeOf<number>()
        expectTypeOf(values.maxMessages).toEqualTypeOf<number | undefined>()
        expectTypeOf(values.dry).toEqualTypeOf<boolean>()
        expectTypeOf(values.format).toEqualTypeOf<'csv' | 'json'>()
        expectTypeOf(values.user).toEqualTypeOf<string>()
        expectTypeOf(values.country).toEqualTypeOf<string | undefined>()
        // @ts-expect-error nothing of this name was declared
        cli.say(values.nothing)
      },
    )
  expectTypeOf(define).returns.toEqualTypeOf<CommandDefinition>()
})

test('without options or positionals there are no values', () => {
  const define = (): CommandDefinition =>
    command({}, (values) => {
      expectTypeOf<keyof typeof values>().toEqualTypeOf<never>()
    })
  expectTypeOf(define).toBeFunction()
})
