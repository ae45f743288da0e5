import { commandLine, MillraceError, type CommandLineApp, type HasCommandLine } from '@millrace/core'

/** Picks the app among the exports of `file`: the one named, else `app`, else `default`, else the only one there is. Throws `APP_NOT_FOUND`. */
export function pickApp(
  exports: Readonly<Record<string, unknown>>,
  exportName: string | undefined,
  file: string,
): CommandLineApp {
  if (exportName !== undefined) return named(exports, exportName, file)
  const apps = Object.entries(exports).flatMap(([name, value]) => (isApp(value) ? [{ name, app: value }] : []))
  const unique = new Set(apps.map(({ app }) => app))
  const chosen = apps.find(({ name }) => name === 'app') ?? apps.find(({ name }) => name === 'default') ?? apps[0]
  if (chosen === undefined) {
    throw new MillraceError(
      'APP_NOT_FOUND',
      `${file} exports no app: ${listed(exports)}. Write: export const app = createApp({ … }).`,
    )
  }
  if (unique.size > 1 && chosen.name !== 'app' && chosen.name !== 'default') {
    const names = apps.map(({ name }) => name)
    throw new MillraceError(
      'APP_NOT_FOUND',
      `${file} exports several apps: ${names.join(', ')}. Name one: -A ${file}:${chosen.name}.`,
    )
  }
  return checked(chosen.app, file)
}

function named(exports: Readonly<Record<string, unknown>>, exportName: string, file: string): CommandLineApp {
  if (!Object.hasOwn(exports, exportName)) {
    throw new MillraceError('APP_NOT_FOUND', `${file} has no export "${exportName}": ${listed(exports)}.`)
  }
  const value = exports[exportName]
  if (!isApp(value))
    throw new MillraceError('APP_NOT_FOUND', `The export "${exportName}" of ${file} is no app made by createApp.`)
  return checked(value, file)
}

/** True for anything that offers itself to the command line, also when another copy of Millrace made it. */
export function isApp(value: unknown): value is HasCommandLine {
  return typeof value === 'object' && value !== null && commandLine in value
}

function checked(app: HasCommandLine, file: string): CommandLineApp {
  const { [commandLine]: offered } = app
  const version: number = offered.version
  if (version === 1) return offered
  throw new MillraceError(
    'APP_NOT_FOUND',
    `The app of ${file} speaks version ${version} of the command line, this is version 1: install @millrace/app and @millrace/cli of one release.`,
  )
}

function listed(exports: Readonly<Record<string, unknown>>): string {
  const names = Object.keys(exports)
  return names.length === 0 ? 'it exports nothing' : `it exports ${names.join(', ')}`
}
