import {
  isMillraceError,
  MillraceError,
  nearestName,
  type Admin,
  type CommandLineApp,
  type CommandLineClient,
  type CommandLineMessage,
  type RecordMetadata,
} from '@millrace/core'
import { describeJobPlan } from '@millrace/scheduler'
import { Topic, type AnyTopic } from '@millrace/streams'
import { agentLag } from './agent-lag.ts'
import type { AppParts } from './app-parts.ts'
import { appTopics } from './app-topics.ts'
import { describeApp, topicsOf } from './describe-app.ts'
import { otherStores, removeOtherStore } from './other-stores.ts'
import { packageDirectory } from './package-directory.ts'
import { topicMissing } from './read-records.ts'
import { readRows, readTable } from './read-table.ts'
import { resetApp, resetPlan } from './reset-app.ts'
import { openRecords } from './site-records.ts'
import { skipOffset, skipPlan } from './skip-offset.ts'
import { textMessage } from './text-message.ts'

/** What `millrace -A` sees of an app. */
export function appCommandLine(parts: Omit<AppParts, 'streams' | 'tables'>): CommandLineApp {
  const { definitions, runtime, lifecycle } = parts
  const { surroundings } = runtime
  return {
    version: 1,
    id: surroundings.settings.id,
    describe: () => describeApp(definitions, surroundings.settings),
    jobs: () => [...definitions.jobs.values()].map((job) => describeJobPlan(job, surroundings.clock.now())),
    place: () => {
      const { enabled, host, port } = surroundings.settings.web
      const { data, log, store } = runtime.directories()
      return { web: { enabled, host, port }, dataDirectory: data, logDirectory: log, storeDirectory: store }
    },
    otherStores: () => otherStores(runtime.directories()),
    removeOtherStore,
    configure: (options, { log, appFile }) => {
      runtime.configure(options)
      surroundings.log = log
      if (appFile !== undefined) surroundings.home = packageDirectory(appFile)
    },
    start: () => lifecycle.start(),
    stop: (options = {}) => lifecycle.stop(options),
    finished: () => lifecycle.finished(),
    worker: () =>
      lifecycle.workerId === undefined
        ? undefined
        : {
            id: lifecycle.workerId,
            tasks: lifecycle.running?.worker.assignment().tasks.length ?? 0,
            url: lifecycle.running?.web?.url(),
          },
    client: () => openCommandLineClient(parts),
  }
}

async function openCommandLineClient(parts: Omit<AppParts, 'streams' | 'tables'>): Promise<CommandLineClient> {
  const { definitions, runtime } = parts
  const client = await runtime.client()
  return {
    send: async (target, message) =>
      sendText(target, message, {
        definitions,
        admin: await runtime.admin(),
        send: async (request) => (await runtime.sender()).send(request),
        now: () => client.clock.now(),
      }),
    topics: async () => (await runtime.admin()).topics(),
    appTopics: async () => appTopics(await runtime.admin(), runtime.surroundings.settings.id, definitions),
    brokers: async () => (await runtime.admin()).brokers(),
    readTable: (name, key) => readTable({ runtime, client, definitions }, name, key),
    readRows: (name, options) => readRows({ runtime, client, definitions }, name, options),
    records: (topic, request) => openRecords(runtime, definitions, topic, request),
    lag: async () => agentLag(await runtime.admin(), definitions, runtime.surroundings.settings),
    members: async () => (await runtime.admin()).members(runtime.surroundings.settings.id),
    resetPlan: async (request) =>
      resetPlan(await runtime.admin(), request, {
        definitions,
        settings: runtime.surroundings.settings,
        storeDirectory: runtime.directories().store,
      }),
    reset: async (plan) => resetApp(await runtime.admin(), plan, () => runtime.store()),
    skipPlan: async (record) =>
      skipPlan(await runtime.admin(), record, {
        definitions,
        settings: runtime.surroundings.settings,
        transport: await runtime.transport(),
        clock: client.clock,
      }),
    skip: async (plan) => skipOffset(await runtime.admin(), plan),
    deadLetters: runtime.deadLetters(),
    run: async (work) =>
      runtime.scope.run(
        { client: await runtime.sender(), worker: undefined, event: undefined, agent: undefined },
        work,
      ),
    close: () => runtime.closeClient(),
  }
}

interface SendTextDeps {
  readonly admin: Admin
  readonly definitions: AppParts['definitions']
  readonly send: (request: ReturnType<typeof textMessage>) => Promise<RecordMetadata>
  readonly now: () => number
}

async function sendText(
  target: string,
  message: CommandLineMessage,
  { admin, definitions, send, now }: SendTextDeps,
): Promise<RecordMetadata> {
  const topic = targetOf(target, definitions)
  try {
    return await send(textMessage(topic, message, now()))
  } catch (error) {
    if (typeof topic === 'string' && isMillraceError(error, 'TOPIC_MISSING'))
      throw await topicMissing({ admin, definitions }, topic)
    throw error
  }
}

/** A declared topic, the topic of an agent, or the bare name of a topic that the app does not declare. */
function targetOf(target: string, definitions: AppParts['definitions']): AnyTopic | string {
  if (!target.startsWith('@')) return topicsOf(definitions).find(({ name }) => name === target) ?? target
  const name = target.slice(1)
  const agent = definitions.agents.get(name)
  if (agent === undefined) {
    const nearest = nearestName(name, [...definitions.agents.keys()])
    throw new MillraceError(
      'COMMAND_USAGE',
      `There is no agent "${name}"${nearest === undefined ? '' : `; did you mean "${nearest}"?`}.`,
    )
  }
  const { inbox } = agent.shape
  if (!(inbox instanceof Topic))
    throw new MillraceError('COMMAND_USAGE', `Agent "${name}" reads a channel, which lives inside a worker.`)
  return inbox
}
