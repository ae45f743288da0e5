import { isMillraceError, toError, type CommandLineApp } from '@millrace/core'
import { ownVersion } from '../own-version.ts'
import { checkEnvironment, checkNode, checkPackages } from './check-machine.ts'
import { checkDirectories, checkPort, checkStores } from './check-place.ts'
import { checkChangelogs, count, checkTables, checkTopics } from './check-topics.ts'
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
    checkPackages({ app: description.version, cli: ownVersion() }),
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
      const members = await client.members()
      const workers = members.length === 0 ? 'No worker of the app runs.' : `Workers that run: ${members.length}.`
      return {
        hasWorkers: members.length > 0,
        findings: [
          ok('broker', `${description.broker} answers. ${workers}`),
          ...checkTopics(description.topics, existing),
          ...checkTables(description, existing),
          ...checkChangelogs(description, existing),
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

function failed(name: string, thrown: unknown): Finding {
  const error = toError(thrown)
  return isMillraceError(error)
    ? wrong(name, `${error.code}: ${error.detail}`, error.fix)
    : wrong(name, `${error.name}: ${error.message}`, 'See the message.')
}
