import type { settingDeclarations, SettingName } from './setting-declarations.ts'
import type { SettingTypes } from './setting-types.ts'

type Declarations = typeof settingDeclarations

type InputFor<Name> = Name extends SettingName
  ? Declarations[Name] extends { readonly choices: readonly (infer Choice)[] }
    ? Choice
    : SettingTypes[Declarations[Name]['type']]['input']
  : never

type OutputFor<Name> = Name extends SettingName
  ? | (Declarations[Name] extends { readonly choices: readonly (infer Choice)[] }
        ? Choice
        : SettingTypes[Declarations[Name]['type']]['output'])
    | (Declarations[Name] extends
        | { readonly default: unknown }
        | { readonly derived: unknown }
        | { readonly required: true }
        ? never
        : undefined)
  : never

// Names relative to a group: those of its own settings, and those of the groups in it.
type Own<Names extends string> = Names extends `${string}.${string}` ? never : Names
type Groups<Names extends string> = Names extends `${infer Group}.${string}` ? Group : never
type Within<Names extends string, Group extends string> = Names extends `${Group}.${infer Rest}` ? Rest : never

type Required = {
  [Name in SettingName]: Declarations[Name] extends { readonly required: true } ? Name : never
}[SettingName]

// One mapped type rather than an intersection, because anything is assignable to an intersection with an empty part.
type Input<Prefix extends string, Names extends string> = {
  readonly [Key in Own<Names> | Groups<Names>]?:
    | (Key extends Own<Names> ? InputFor<`${Prefix}${Key}`> : GroupInput<`${Prefix}${Key}.`, Within<Names, Key>>)
    | undefined
}

type GroupInput<Prefix extends string, Names extends string> =
  | Input<Prefix, Names>
  | ('enabled' extends Names ? boolean : never)

type ResolvedName<Full, Name extends string> = Full extends SettingName
  ? Name extends `${string}${SettingTypes[Declarations[Full]['type']]['suffix']}`
    ? Name
    : `${Name}${SettingTypes[Declarations[Full]['type']]['suffix']}`
  : never

type Output<Prefix extends string, Names extends string> = {
  readonly [
    Key in Own<Names> | Groups<Names> as Key extends Own<Names> ? ResolvedName<`${Prefix}${Key}`, Key> : Key
  ]: Key extends Own<Names> ? OutputFor<`${Prefix}${Key}`> : Output<`${Prefix}${Key}.`, Within<Names, Key>>
}

/**
 * The settings of an app file, derived from the declarations. A group with `enabled` also takes `true` or `false`.
 *
 * @example
 * const settings: AppSettings = { id: 'word-counts', commitInterval: '500ms', web: { port: 8080 }, kafka: { ssl: true } }
 */
export type AppSettings = { readonly [Name in Required]: InputFor<Name> } & Input<'', Exclude<SettingName, Required>>

/** Every setting with its value: durations as `…Ms` in milliseconds, sizes as `…Bytes`. */
export type ResolvedSettings = Output<'', SettingName>
