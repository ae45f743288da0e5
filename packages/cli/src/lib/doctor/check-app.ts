import { type CommandLineApp, isMillraceError, packageVersion, toError } from '@millrace/core'
import { checkEnvironment, checkNode, checkPackages } from './check-machine.ts'
import { checkDirectories, checkPort, checkStores } from './check-place.ts'
import { checkReplicas } from './check-replicas.ts'
import { checkRetention, type Alter } from './check-retention.ts'
import { count, checkTables, checkTopics } from './check-topics.ts'
import { note, ok, wrong, type Finding } from './finding.ts'

export interface Surroundings {
  /** As `process.version` has it. */
  readonly node: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** All there is to check of an app that was loaded. */
export async function checkApp(app: CommandLineApp, { node, env }: Surroundings): Promise<readonly Finding[]> {
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
    await checkPort(place, hasWorkers),
    ...(await checkDirectories(place)),
    ...checkStores(await app.otherStores(), place),
  ]
}

/** What can be said when the app cannot even be loaded. */
export function checkWithoutApp(failure: unknown, { node, env }: Surroundings): readonly Finding[] {
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
          ...checkTopics(description.topics, existing),
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

/** A local log has no tool of its own for that; a topic of the app's is made again as it should be. */
function alterOn(broker: string): Alter {
  return broker.startsWith('kafka:')
    ? (topic, setting, value) =>
        `kafka-configs.sh --bootstrap-server … --alter --entity-type topics --entity-name ${topic} --add-config ${setting}=${value}`
    : (topic, setting, value) =>
        `Make ${topic} anew with ${setting}=${value}; millrace reset does that for what is derived.`
}

function failed(name: string, thrown: unknown): Finding {
  const error = toError(thrown)
  return isMillraceError(error)
    ? wrong(name, `${error.code}: ${error.detail}`, error.fix ?? null)
    : wrong(name, `${error.name}: ${error.message}`, null)
}
