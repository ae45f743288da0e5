import { describeSettings } from '@millrace/core'
import { option, type OptionGrammar } from './grammar.ts'

/** Every setting of an app as an option, from the declarations. Their values stay text: the app reads and checks them. */
export function settingOptions(): readonly OptionGrammar[] {
  return describeSettings().flatMap(({ name, option: typed, aliases, type, help, default: standard }) =>
    typed === undefined
      ? []
      : [
          option(typed, {
            key: name,
            aliases,
            type: type === 'flag' ? 'boolean' : 'string',
            describe: help,
            shownDefault: standard,
          }),
        ],
  )
}
