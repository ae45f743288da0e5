import { MillraceError } from '../errors/millrace-error.ts'
import { nearestName } from '../names/nearest-name.ts'
import type { SettingName } from './setting-declarations.ts'
import { isSettingName, settingNames } from './setting-names.ts'

/**
 * The settings of an app file by their dotted names. What is undefined was not given; `true` or `false` for a group
 * is its `enabled`.
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

/** An error that suggests the name most likely meant. */
export function unknownSetting(name: string, shown: string = `Setting ${name}`): MillraceError {
  const nearest = nearestName(name, settingNames)
  return new MillraceError(
    'SETTING_UNKNOWN',
    `${shown} does not exist.${nearest === undefined ? '' : ` Did you mean ${nearest}?`}`,
  )
}
