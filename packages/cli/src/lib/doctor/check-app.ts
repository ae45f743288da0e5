import { isMillraceError, packageVersion, unknownEnvironment } from '@millrace/core'
import type { CommandLineApp, CommandLineClient, MissingTopic } from '@millrace/core/operations'
import { checkCertificate, checkDirectories, checkPorts, checkStores } from './check-resources.ts'
import { checkReplicas } from './check-replicas.ts'
import { type Alter, checkRetention } from './check-retention.ts'
import { checkSchemas } from './check-schemas.ts'
import { checkTables, checkTopics, count } from './check-topics.ts'
import { failed, type Finding, note, ok, wrong } from './finding.ts'

export interface MachineFacts {
  /** In the form of `process.version`. */
  readonly node: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Unix milliseconds. */
  readonly nowMs: number
}

/** All checks of a loaded app. */
export async function checkApp(app: CommandLineApp, { node, env, nowMs }: MachineFacts): Promise<readonly Finding[]> {
  const description = app.describe()
  const place = app.place()
  const { findings, hasWorkers } = await checkBroker(app)
  const { agents, tables } = description
  return [
    checkNode(node),
    checkPackages({ app: description.version, cli: packageVersion(import.meta.url) }),
    ok('app', `The app "${app.id}" was loaded: ${count(agents.length, 'agent')}, ${count(tables.length, 'table')}.`),
    ...checkEnvironment(env),
    ...findings,
    ...(await checkSchemas(app)),
    ...(await checkPorts(place, hasWorkers)),
    ...checkCertificate(place, nowMs),
    ...(await checkDirectories(place)),
    ...checkStores(await app.otherStores(), place),
  ]
}

/** The checks that are possible when the app cannot be loaded. */
export function checkWithoutApp(
  failure: unknown,
  { node, env }: Pick<MachineFacts, 'node' | 'env'>,
): readonly Finding[] {
  return [checkNode(node), failed('app', failure), ...checkEnvironment(env)]
}

async function checkBroker(
  app: CommandLineApp,
): Promise<{ readonly findings: readonly Finding[]; readonly hasWorkers: boolean }> {
  const description = app.describe()
  try {
    const client = await app.client()
    try {
      const existing = new Map((await client.topics()).map(({ name, partitions }) => [name, partitions]))
      const topics = await client.appTopics()
      const alter = alterOn(description.broker)
      const members = await client.members()
      const workers = members.length === 0 ? 'No worker of the app runs.' : `Workers that run: ${members.length}.`
      return {
        hasWorkers: members.length > 0,
        findings: [
          ok('broker', `${description.broker} answers. ${workers}`),
          ...checkTopics(description.topics, existing, await missingTopics(client)),
          ...checkTables(description, existing),
          ...checkRetention(topics, alter),
          ...checkReplicas(topics, await client.brokers(), alter),
        ],
      }
    } finally {
      await client.close()
    }
  } catch (error) {
    return {
      hasWorkers: false,
      findings: [
        failed('broker', error),
        note('topics', 'Topics and tables were not looked at, for want of a broker.'),
      ],
    }
  }
}

/** `undefined` also if tables do not fit their topics, which is a finding of its own. */
async function missingTopics(client: CommandLineClient): Promise<readonly MissingTopic[] | undefined> {
  try {
    return await client.missingTopics?.()
  } catch (error) {
    if (isMillraceError(error, 'NOT_COPARTITIONED')) return undefined
    throw error
  }
}

/** The local log has no command for this, but the app can create its own topics anew with the right settings. */
function alterOn(broker: string): Alter {
  return broker.startsWith('kafka:')
    ? (topic, setting, value) =>
        `kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name ${topic} --add-config ${setting}=${value}`
    : (topic, setting, value) =>
        `Make ${topic} anew with ${setting}=${value}; millrace reset does that for what is derived.`
}

/** The oldest Node.js that the packages support; the same as `engines` in their package.json. */
const OLDEST_NODE = { major: 20, minor: 19 }

/** @param version in the form of `process.version` */
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

/** Packages of different versions may disagree about contracts. */
export function checkPackages({ app, cli }: { readonly app: string; readonly cli: string }): Finding {
  if (app === cli) return ok('packages', `@millrace/app and @millrace/cli ${cli}.`)
  if (app === 'unknown')
    return note('packages', `The app was bundled, with a Millrace of some version; the command is ${cli}.`)
  return wrong(
    'packages',
    `The app uses @millrace/app ${app}, the command is of @millrace/cli ${cli}.`,
    'Install one version of all @millrace packages, and run the command that comes with the app (npx millrace).',
  )
}

/** Variables that look like settings but are not. */
export function checkEnvironment(env: Readonly<Record<string, string | undefined>>): readonly Finding[] {
  const unknown = unknownEnvironment(env)
  if (unknown.length === 0) return [ok('settings', 'All variables that begin with MILLRACE_ are settings.')]
  return unknown.map(({ variable, nearest }) =>
    nearest === undefined
      ? note('settings', `There is no setting for the variable ${variable}.`, 'Remove it if nothing else needs it.')
      : wrong('settings', `There is no setting for the variable ${variable}.`, `Did you mean ${nearest}?`),
  )
}
