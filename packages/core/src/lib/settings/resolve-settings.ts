import { MillraceError } from '../errors/millrace-error.ts'
import { didYouMean } from '../names/check-options.ts'
import { redactUrl } from '../urls/urls.ts'
import type { AppSettings, ResolvedSettings } from './app-settings.ts'
import type { SettingName } from './setting-declarations.ts'
import { unknownEnvironment } from './describe-settings.ts'
import {
  acceptedBy,
  declarationOf,
  environmentName,
  isSettingName,
  optionName,
  secretFileName,
  settingNames,
} from './setting-names.ts'
import { readSettingFile, settingReaders } from './setting-readers.ts'
import { checkSettings, deriveSettings, type SettingValues } from './settle-settings.ts'

/** The sources of settings; the first that has a value wins. */
export interface SettingSources {
  /** From the command line: text, by setting name (`commitInterval`, `web.port`). */
  readonly options?: Readonly<Record<string, string>>
  /** `process.env`: `MILLRACE_…`, and for secrets `MILLRACE_…_FILE`, the path of a file that holds the value. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** From the app file. */
  readonly argument: AppSettings
}

/**
 * The settings of an app: command line, then environment, then app file, then default.
 *
 * @throws `SETTING_UNKNOWN`, with the nearest name
 * @throws `SETTING_INVALID`, naming the setting, where its value came from, what it was and what it takes; a variable that is
 *   set and blank is refused too
 * @throws `BROKER_URL_INVALID`, `STORE_URL_INVALID`
 * @example
 * const settings = resolveSettings({ env: process.env, argument: { id: 'word-counts' } })
 * settings.web.requestTimeoutMs // 30000
 */
export function resolveSettings({ options = {}, env = {}, argument }: SettingSources): ResolvedSettings {
  const fromFile = flattenSettings(argument)
  for (const name of Object.keys(options)) if (!isSettingName(name)) throw unknownSetting(name)

  const values: SettingValues = new Map()
  for (const name of settingNames)
    values.set(name, resolveOne(name, options[name], variableOf(name, env), fromFile.get(name)))
  deriveSettings(values)
  checkSettings(values)
  return nest(values)
}

/** Text from the environment, and the variable that it came from. */
interface Variable {
  readonly label: string
  readonly text: string
}

function variableOf(name: SettingName, env: Readonly<Record<string, string | undefined>>): Variable | undefined {
  const label = environmentName(name)
  const text = env[label]
  const fileLabel = secretFileName(name)
  const file = fileLabel === undefined ? undefined : env[fileLabel]
  if (fileLabel !== undefined && file !== undefined) {
    if (text !== undefined)
      throw new MillraceError('SETTING_INVALID', `Both ${label} and ${fileLabel} are set: unset one of them.`)
    requireText(name, fileLabel, file)
    // The setting takes a path itself, and reads the file again later.
    if (declarationOf(name).type === 'pemFile') return { label: fileLabel, text: file }
    const content = readSettingFile(file, `The file ${file} of setting ${name} (${fileLabel})`)
    requireText(name, `${fileLabel}, ${file}`, content)
    return { label: fileLabel, text: content }
  }
  if (text === undefined) return undefined
  requireText(name, label, text)
  return { label, text }
}

function requireText(name: SettingName, label: string, text: string): void {
  if (text.trim() === '')
    throw new MillraceError('SETTING_INVALID', `Setting ${name} (${label}) is blank: give it a value, or unset it.`)
}

function resolveOne(
  name: SettingName,
  option: string | undefined,
  variable: Variable | undefined,
  given: unknown,
): unknown {
  const declaration = declarationOf(name)
  const reader = settingReaders[declaration.type]
  const meant = (text: string): unknown => reader.fromText?.(text.trim()) ?? text.trim()
  if (option !== undefined) return read(name, meant(option), optionLabel(name))
  if (variable !== undefined) return read(name, meant(variable.text), variable.label)
  if (given !== undefined) return read(name, given, undefined)
  if (declaration.required === true)
    throw new MillraceError('SETTING_INVALID', `Setting ${name} is missing; it takes ${acceptedBy(name)}.`)
  return declaration.default === undefined ? undefined : reader.read(declaration.default, declaration, name)
}

/**
 * Checks what a worker in production (`NODE_ENV=production`) must not leave to a default or a guess.
 *
 * @throws `BROKER_UNSET` if no source names the broker
 * @throws `SETTING_UNKNOWN` for a variable that is probably a misspelt setting
 */
export function requireProductionSettings({ options = {}, env = {}, argument }: SettingSources): void {
  if (env['NODE_ENV'] !== 'production') return
  for (const { variable, nearest } of unknownEnvironment(env))
    if (nearest !== undefined)
      throw new MillraceError(
        'SETTING_UNKNOWN',
        `There is no setting for the variable ${variable}. Did you mean ${nearest}?`,
      )
  const isGiven = options['broker'] ?? env[environmentName('broker')] ?? flattenSettings(argument).get('broker')
  if (isGiven === undefined)
    throw new MillraceError('BROKER_UNSET', 'NODE_ENV is production, and nothing says where records are kept.')
}

function read(name: SettingName, value: unknown, source: string | undefined): unknown {
  const declaration = declarationOf(name)
  const resolved = settingReaders[declaration.type].read(value, declaration, name)
  if (resolved !== undefined) return resolved
  const got = declaration.secret === true ? 'of another kind' : shown(value)
  throw new MillraceError(
    'SETTING_INVALID',
    `Setting ${name}${source === undefined ? '' : ` (${source})`} is ${got}; it takes ${acceptedBy(name)}.`,
  )
}

/** Shows a value that was refused. Brokers in another form than one URL may contain a password too. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `'${redactUrl(value)}'`
  if (Array.isArray(value)) return `a list, ${redactUrl(JSON.stringify(value))}`
  if (typeof value === 'function') return 'a function'
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

function optionLabel(name: SettingName): string {
  const option = optionName(name)
  return option === undefined ? 'command line' : `--${option}`
}

interface Tree {
  [name: string]: unknown
}

/**
 * Turns dotted names into objects, and adds the unit to the names of durations and sizes. The types follow the same
 * rules.
 */
function nest(values: SettingValues): ResolvedSettings {
  const root: Tree = {}
  const groups = new Map<string, Tree>([['', root]])
  for (const [name, value] of values) {
    const dot = name.lastIndexOf('.')
    groupAt(groups, dot < 0 ? '' : name.slice(0, dot))[resolvedName(name, name.slice(dot + 1))] = value
  }
  return root as ResolvedSettings
}

function groupAt(groups: Map<string, Tree>, path: string): Tree {
  const known = groups.get(path)
  if (known !== undefined) return known
  const group: Tree = {}
  groups.set(path, group)
  const dot = path.lastIndexOf('.')
  groupAt(groups, dot < 0 ? '' : path.slice(0, dot))[path.slice(dot + 1)] = group
  return group
}

function resolvedName(name: SettingName, last: string): string {
  const { type } = declarationOf(name)
  const suffix = type === 'duration' || type === 'durationOrFalse' ? 'Ms' : type === 'size' ? 'Bytes' : ''
  return last.endsWith(suffix) ? last : `${last}${suffix}`
}

/**
 * The settings of an app file by their dotted names. Undefined ones count as absent; `true` or `false` for a group is
 * its `enabled`.
 *
 * @throws `SETTING_UNKNOWN`, `SETTING_INVALID` for a group that is no object
 */
export function flattenSettings(argument: object): ReadonlyMap<SettingName, unknown> {
  if (typeof argument !== 'object' || argument === null || Array.isArray(argument))
    throw new MillraceError('SETTING_INVALID', "Settings are an object, as in createApp({ id: 'word-counts' }).")
  const flat = new Map<SettingName, unknown>()
  addSettings(flat, argument, '')
  return flat
}

function addSettings(flat: Map<SettingName, unknown>, group: object, prefix: string): void {
  for (const [key, value] of Object.entries(group)) {
    if (value === undefined) continue
    const name = `${prefix}${key}`
    if (isSettingName(name)) flat.set(name, value)
    else if (!isGroup(name)) throw unknownSetting(name)
    else if (typeof value === 'object' && value !== null && !Array.isArray(value)) addSettings(flat, value, `${name}.`)
    else flat.set(flagOfGroup(name, value), value)
  }
}

function flagOfGroup(group: string, value: unknown): SettingName {
  const flag = `${group}.enabled`
  if (typeof value === 'boolean' && isSettingName(flag)) return flag
  const takes = isSettingName(flag) ? 'an object, true or false' : 'an object'
  throw new MillraceError(
    'SETTING_INVALID',
    `Setting ${group} is ${Array.isArray(value) ? 'a list' : String(value)}; it takes ${takes}.`,
  )
}

function isGroup(name: string): boolean {
  return settingNames.some((known) => known.startsWith(`${name}.`))
}

/** An error that suggests the most similar name. */
export function unknownSetting(name: string, shown: string = `Setting ${name}`): MillraceError {
  return new MillraceError('SETTING_UNKNOWN', `${shown} does not exist.${didYouMean(name, settingNames, String)}`)
}
