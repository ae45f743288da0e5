import { unknownEnvironment } from '@millrace/core'
import { note, ok, wrong, type Finding } from './finding.ts'

/** The oldest Node.js that the packages run on; the same as `engines` in their package.json. */
const OLDEST_NODE = { major: 20, minor: 19 }

/** @param version as `process.version` has it */
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  const { major: least, minor: leastMinor } = OLDEST_NODE
  if (major > least || (major === least && minor >= leastMinor)) return ok('node', `Node.js ${version}.`)
  return wrong(
    'node',
    `Node.js ${version} is too old.`,
    `Install Node.js ${least}.${leastMinor} or later; 22 or 24 are good choices.`,
  )
}

/** Packages of different versions do not know each other's contracts. */
export function checkPackages({ app, cli }: { readonly app: string; readonly cli: string }): Finding {
  if (app === cli) return ok('packages', `@millrace/app and @millrace/cli ${cli}.`)
  return wrong(
    'packages',
    `The app uses @millrace/app ${app}, the command is of @millrace/cli ${cli}.`,
    'Install one version of all @millrace packages, and run the command that comes with the app (npx millrace).',
  )
}

/** Variables that look like settings and are none. */
export function checkEnvironment(env: Readonly<Record<string, string | undefined>>): readonly Finding[] {
  const unknown = unknownEnvironment(env, ['MILLRACE_APP'])
  if (unknown.length === 0) return [ok('settings', 'All variables that begin with MILLRACE_ are settings.')]
  return unknown.map(({ variable, nearest }) =>
    nearest === undefined
      ? note('settings', `There is no setting for the variable ${variable}.`, 'Remove it if nothing else needs it.')
      : wrong('settings', `There is no setting for the variable ${variable}.`, `Did you mean ${nearest}?`),
  )
}
