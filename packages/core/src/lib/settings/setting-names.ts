import { kebabCase } from '../names/names.ts'
import { parseRegistryUrl } from '../urls/registry-url.ts'
import { settingDeclarations, type SettingName } from './setting-declarations.ts'
import { settingReaders } from './setting-readers.ts'
import type { SettingDeclaration } from './setting-types.ts'

const declarations: { readonly [Name in SettingName]: SettingDeclaration } = settingDeclarations

/** All settings, in the order declared. */
export const settingNames: readonly SettingName[] = Object.keys(settingDeclarations).filter(isSettingName)

/** Whether text is the dotted name of a setting. */
export function isSettingName(name: string): name is SettingName {
  return Object.hasOwn(settingDeclarations, name)
}

/** A declaration without its literal types. */
export function declarationOf(name: SettingName): SettingDeclaration {
  return declarations[name]
}

/** `MILLRACE_WEB_PORT` for `web.port`. */
export function environmentName(name: SettingName): string {
  return `MILLRACE_${kebabCase(name).replaceAll('-', '_').toUpperCase()}`
}

/**
 * `MILLRACE_WEB_TOKEN_FILE` for `web.token`: names the file that holds it; `undefined` if the setting is not secret.
 */
export function secretFileName(name: SettingName): string | undefined {
  return declarationOf(name).secret === true ? `${environmentName(name)}_FILE` : undefined
}

/** Values of all settings that are secret, as they were resolved. */
export function secretsOf(settings: object): readonly string[] {
  return settingNames.flatMap((name) => {
    if (declarationOf(name).secret !== true) return []
    let value: unknown = settings
    for (const part of name.split('.')) value = isGroup(value) ? value[part] : undefined
    const text = isGroup(value) ? value['text'] : value
    return typeof text === 'string' ? secretIn(name, text) : []
  })
}

/** Of a URL only the password: its host is in messages. */
function secretIn(name: SettingName, text: string): readonly string[] {
  if (declarationOf(name).type !== 'registry') return [text]
  try {
    const { password } = parseRegistryUrl(text)
    return password === undefined ? [] : [new URL(text).password, password]
  } catch {
    // It is refused elsewhere, and may be anything.
    return [text]
  }
}

/** Values of the secret settings that the environment holds. */
export function secretsOfEnvironment(env: Readonly<Record<string, string | undefined>>): readonly string[] {
  return settingNames.flatMap((name) => {
    const text = declarationOf(name).secret === true ? env[environmentName(name)] : undefined
    return text === undefined ? [] : secretIn(name, text)
  })
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

/**
 * `web-port` for `web.port`, without leading dashes; `undefined` if only the app file or the environment may set it.
 */
export function optionName(name: SettingName): string | undefined {
  const { option, required, secret, type } = declarationOf(name)
  // A required setting names topics and tables as they are declared, so the command line would come too late.
  if (required === true || secret === true || type === 'token') return undefined
  return option ?? kebabCase(name)
}

/** What a setting takes, as the end of "it takes …". */
export function acceptedBy(name: SettingName): string {
  const declaration = declarationOf(name)
  return settingReaders[declaration.type].accepts(declaration)
}
