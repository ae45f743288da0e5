import type { OptionGrammar } from './grammar.ts'

/** Every setting as an option, from the declarations in core. */
export function settingOptions(): readonly OptionGrammar[] {
  return []
}
