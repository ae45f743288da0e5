import { type App, createApp, type Stream, type WindowResult } from '@millrace/app'
import { type SentRecord, testApp } from '@millrace/testing'
import {
  type Answer,
  isWindow,
  type Operator,
  referenceOf,
  type Result,
  type Scenario,
  type StreamJoinOperator,
  type TableJoinOperator,
  type WindowOperator,
} from './scenario.ts'

/** What Millrace answers: the scenario in an app in memory, where each record comes to rest before the next one is sent. */
export async function askMillrace({ operator, records, arrival }: Scenario): Promise<Answer> {
  const app = createApp({ id: 'answers', idleAfter: false, agent: { concurrency: 1 } })
  const topics = declareTopics(app)
  declareOperator({ app, ...topics }, operator)
  await using t = await testApp(app)
  const answer = { results: [] as Result[], closed: [] as Result[], late: [] as number[] }
  const take = (after: number): void => {
    for (const what of ['results', 'closed'] as const) {
      const sent = t.sent(topics[what]).slice(answer[what].length)
      answer[what].push(...sent.map((record) => resultOf(record, after)))
    }
    const late = t.sent(topics.late).slice(answer.late.length)
    answer.late.push(...late.map(() => after))
  }
  if (arrival === 'all') {
    for (const worker of t.all) await worker.stop()
    for (const side of ['left', 'right'] as const)
      for (const { topic, ...record } of records) if (topic === side) await t.send(topics[side], record)
    await t.worker()
    take(records.length - 1)
  } else {
    for (const [after, { topic, ...record }] of records.entries()) {
      await t.send(topics[topic], record)
      await t.settle()
      take(after)
    }
  }
  const { closed, ...answered } = answer
  return isWindow(operator) ? { ...answered, closed } : answered
}

/** A record of one of the two outputs: of windows, they have the whole result as JSON. */
function resultOf({ key, value, timestamp }: SentRecord<string | null, string | null>, after: number): Result {
  if (value?.startsWith('{') !== true) return { after, key, value, timestamp }
  const { window, value: found }: WindowResult<string, string> = JSON.parse(value)
  return { after, key, window: [window.start, window.end], value: found, timestamp }
}

function declareTopics(app: App) {
  const given = { key: 'string', value: 'string', partitions: 1, tombstones: true } as const
  // A record that refers to nothing has no key.
  const output = { value: 'string', partitions: 1, tombstones: true } as const
  return {
    left: app.topic('left', given),
    right: app.topic('right', given),
    results: app.topic('results', output),
    closed: app.topic('closed', output),
    late: app.topic('late', output),
  }
}

interface Asked extends ReturnType<typeof declareTopics> {
  readonly app: App
}

function declareOperator(asked: Asked, operator: Operator): void {
  if (isWindow(operator)) declareWindows(asked, operator)
  else if (operator.kind === 'stream-stream') declareStreamJoin(asked, operator)
  else declareTableJoin(asked, operator)
}

/** The values of a window, sorted: in which order they came does not matter to a result. */
function together(...values: readonly string[]): string {
  return [...new Set(values.flatMap((value) => value.split(' ')))]
    .filter((value) => value !== '')
    .toSorted()
    .join(' ')
}

function pair(left: string | null | undefined, right: string | null | undefined): string {
  return `${left ?? ''}-${right ?? ''}`
}

function declareWindows({ app, left, late, results, closed }: Asked, operator: WindowOperator): void {
  const { grace } = operator
  const init = (): string => ''
  const add = (soFar: string, value: string | null): string => together(soFar, value ?? 'null')
  const windows = (stream: Stream<string, string | null>, options: { readonly late?: typeof late }) => {
    if (operator.kind === 'tumbling')
      return stream.tumbling(operator.size, { grace, ...options }).aggregate({ init, add })
    if (operator.kind === 'hopping')
      return stream.hopping(operator.size, operator.every, { grace, ...options }).aggregate({ init, add })
    if (operator.kind === 'sliding')
      return stream.sliding(operator.difference, { grace, ...options }).aggregate({ init, add })
    return stream.session(operator.gap, { grace, ...options }).aggregate({ init, add, merge: together })
  }
  const asText = (result: object): string => JSON.stringify(result)
  app.agent('updates', left, async (stream) => {
    await windows(stream, { late }).emit('update').map(asText).to(results)
  })
  app.agent('closes', left, async (stream) => {
    await windows(stream, {}).emit('close').map(asText).to(closed)
  })
}

function declareStreamJoin({ app, left, right, late, results }: Asked, operator: StreamJoinOperator): void {
  const { join: kind, before, after, grace } = operator
  app.agent('join', left, async (stream) => {
    await stream.join(right, { kind, before, after, grace, late }, pair).to(results)
  })
}

function declareTableJoin({ app, left, right, results }: Asked, operator: TableJoinOperator): void {
  const on = (value: string | null): string | null => (value === null ? null : referenceOf(value))
  if (operator.kind === 'global-table') {
    const table = app.globalTable('rows', { key: 'string', value: 'string', partitions: 1 })
    app.agent('rows', right, async (rows) => {
      for await (const { key, value } of rows.events()) {
        if (value === null) table.delete(key)
        else table.set(key, value)
      }
    })
    app.agent('join', left, async (stream) => {
      await stream.join(table, { kind: operator.join, on }, pair).to(results)
    })
    return
  }
  const rights = app.table('rights', { key: 'string', value: 'string', from: right })
  if (operator.kind === 'stream-table') {
    app.agent('join', left, async (stream) => {
      const { join: kind } = operator
      await (operator.on ? stream.join(rights, { kind, on }, pair) : stream.join(rights, { kind }, pair)).to(results)
    })
    return
  }
  const lefts = app.table('lefts', { key: 'string', value: 'string', from: left })
  const options = { value: 'string', to: results } as const
  if (operator.kind === 'table-table')
    app.joinTables('joined', lefts, rights, { kind: operator.join, ...options }, pair)
  else app.joinTables('joined', lefts, rights, { kind: operator.join, on: referenceOf, ...options }, pair)
}
