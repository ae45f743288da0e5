import { shownValue } from '../errors/shown-value.ts'
import { nearestName } from '../names/check-options.ts'
import type { SettingName } from './setting-declarations.ts'
import {
  acceptedBy,
  declarationOf,
  environmentName,
  optionName,
  secretFileName,
  settingNames,
} from './setting-names.ts'
import type { SettingTypes } from './setting-types.ts'

/** A setting as the reference page and `--help` show it. */
export interface SettingDescription {
  readonly name: SettingName
  readonly type: keyof SettingTypes
  /** What the setting takes, as the end of "it takes …". */
  readonly accepts: string
  /** As text; `undefined` if it may stay unset. */
  readonly default: string | undefined
  readonly required: boolean
  readonly secret: boolean
  readonly environment: string | undefined
  /** Without dashes; `undefined` if the command line does not take it. A flag may also have the prefix `no-`. */
  readonly option: string | undefined
  readonly aliases: readonly string[]
  readonly choices: readonly string[] | undefined
  readonly help: string
}

/**
 * Every setting, in the order of the reference page.
 *
 * @example
 * describeSettings().find(({ name }) => name === 'web.port')?.option // 'web-port'
 */
export function describeSettings(): readonly SettingDescription[] {
  return settingNames.map(describeSetting)
}

/** Kubernetes sets these for a service named millrace. */
const OF_A_SERVICE = /^MILLRACE_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)$/

/** Variables of the command line and of the processes that it starts, which are not settings. */
const OTHER_VARIABLES: readonly string[] = Object.freeze(['MILLRACE_APP', 'MILLRACE_DEV', 'MILLRACE_PROCESS'])

/**
 * Variables that look like settings but are none: probably misspelt, so worth a warning. They are an error only in
 * production and if a name is near (`requireProductionSettings`). Variables of a Kubernetes service of that name do not
 * count.
 */
export function unknownEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): readonly { readonly variable: string; readonly nearest: string | undefined }[] {
  const files = settingNames.flatMap((name) => secretFileName(name) ?? [])
  const known = [...settingNames.map(environmentName), ...files, ...OTHER_VARIABLES]
  return Object.keys(env)
    .filter((name) => name.startsWith('MILLRACE_') && !known.includes(name) && !OF_A_SERVICE.test(name))
    .map((variable) => ({ variable, nearest: nearestName(variable, known) }))
}

function describeSetting(name: SettingName): SettingDescription {
  const declaration = declarationOf(name)
  return {
    name,
    type: declaration.type,
    accepts: acceptedBy(name),
    default: declaration.derived ?? (declaration.default === undefined ? undefined : shownValue(declaration.default)),
    required: declaration.required === true,
    secret: declaration.secret === true,
    environment: declaration.type === 'token' ? undefined : environmentName(name),
    option: optionName(name),
    aliases: declaration.aliases ?? [],
    choices: declaration.choices,
    help: declaration.help,
  }
}
