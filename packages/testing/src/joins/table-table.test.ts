import { createApp, json } from '@millrace/app'
import fc from 'fast-check'
import { expect, expectTypeOf, test } from 'vitest'
import { testApp } from '../index.ts'

type Kind = 'inner' | 'left' | 'outer'

interface Change {
  readonly side: 'left' | 'right'
  readonly key: string
  /** `null` deletes the row. */
  readonly value: number | null
}

function joinApp(kind: Kind, processingGuarantee: 'at-least-once' | 'exactly-once') {
  const app = createApp({ id: 'joined', processingGuarantee })
  const lefts = app.topic('lefts', { key: 'string', value: 'number', partitions: 2, tombstones: true })
  const rights = app.topic('rights', { key: 'string', value: 'number', partitions: 2, tombstones: true })
  const out = app.topic('out', { key: 'string', value: 'string', partitions: 1 })
  const left = app.table('left', { key: 'string', value: 'number', from: lefts })
  const right = app.table('right', { key: 'string', value: 'number' })
  const result = app.joinTables(
    'result',
    left,
    right,
    { kind, to: out, value: 'string' },
    (a, b) => `${a ?? ''}+${b ?? ''}`,
  )
  let attempts = 0
  app.agent(
    'write-right',
    rights,
    async (stream) => {
      for await (const { key, value } of stream.events()) {
        if (value === null) right.delete(key)
        else {
          // Only the last one counts, in the table and in the topic.
          right.set(key, -1)
          right.set(key, value)
        }
        if (++attempts % 3 === 0) throw new Error('Once in a while.')
      }
    },
    { onError: { retry: 100, backoff: '1ms', maxBackoff: '5ms', then: 'stop' } },
  )
  return { app, lefts, rights, out, left, right, result }
}

/** By hand, one change after the other: the rows, and what goes to the topic. */
function expected(changes: readonly Change[], kind: Kind) {
  const sides = { left: new Map<string, number>(), right: new Map<string, number>() }
  const rows = new Map<string, string>()
  const sent: (readonly [string, string | null])[] = []
  for (const { side, key, value } of changes) {
    const before = sides[side].get(key)
    if (value === null) sides[side].delete(key)
    else sides[side].set(key, value)
    // Nothing was deleted.
    if (value === null && before === undefined) continue
    const [a, b] = [sides.left.get(key), sides.right.get(key)]
    const hasRow =
      kind === 'inner'
        ? a !== undefined && b !== undefined
        : kind === 'left'
          ? a !== undefined
          : a !== undefined || b !== undefined
    const had = rows.has(key)
    if (hasRow) rows.set(key, `${a ?? ''}+${b ?? ''}`)
    else rows.delete(key)
    if (hasRow || had) sent.push([key, rows.get(key) ?? null])
  }
  return { rows: Object.fromEntries(rows), sent }
}

const changes = fc.array(
  fc.record({
    side: fc.constantFrom('left' as const, 'right' as const),
    key: fc.constantFrom('a', 'b', 'c'),
    value: fc.option(fc.nat({ max: 9 })),
  }),
  { minLength: 1, maxLength: 25 },
)

test.each(['at-least-once', 'exactly-once'] as const)(
  'rows and changes are what brute force says, one for each change, whatever fails: %s',
  async (guarantee) => {
    await fc.assert(
      fc.asyncProperty(
        changes,
        fc.constantFrom('inner', 'left', 'outer'),
        fc.nat({ max: 25 }),
        async (all, kind, at) => {
          const { app, lefts, rights, out, result } = joinApp(kind, guarantee)
          await using t = await testApp(app)
          for (const [nth, { side, key, value }] of all.entries()) {
            if (nth === at) {
              for (const worker of t.all) await worker.stop()
              await t.worker()
            }
            await t.send(side === 'left' ? lefts : rights, { key, value })
            await t.settle()
            await t.clock.advance('10ms')
          }
          await t.clock.advance('2s')
          const rows: Record<string, string> = {}
          for await (const [key, value] of result.entries()) rows[key] = value
          expect({ rows, sent: t.sent(out).map(({ key, value }) => [key, value]) }).toEqual(expected(all, kind))
        },
      ),
      { numRuns: Number(process.env['JOIN_RUNS'] ?? 8) },
    )
  },
)

test('a joined table can be joined again, and agents cannot write it', async () => {
  const app = createApp({ id: 'joined' })
  const topic = app.topic('changes', { key: 'string', value: 'number', partitions: 2 })
  const tables = ['a', 'b', 'c'].map((name) => app.table(name, { key: 'string', value: 'number' }))
  const [a, b, c] = tables
  if (a === undefined || b === undefined || c === undefined) throw new Error('There are three tables.')
  const ab = app.joinTables('ab', a, b, {}, (x, y) => x + y)
  const abc = app.joinTables('abc', ab, c, { kind: 'left' }, (x, y) => ({ sum: x + (y ?? 0) }))
  expectTypeOf(() => abc.find('x')).returns.toEqualTypeOf<{ sum: number } | undefined>()
  app.agent('write', topic, async (stream) => {
    for await (const { key, value } of stream.events()) {
      for (const table of tables) table.set(key, value)
      if (value === 13) ab.set(key, value)
    }
  })
  await using t = await testApp(app)
  await t.send(topic, { key: 'x', value: 2 })
  await t.settle()
  expect([ab.get('x'), abc.get('x')]).toEqual([4, { sum: 6 }])
  await t.send(topic, { key: 'x', value: 13 })
  const failure: unknown = await t.settle().catch((thrown: unknown) => thrown)
  expect(failure).toMatchObject({ cause: { code: 'TABLE_IS_JOIN', message: expect.stringContaining('"a" and "b"') } })
})

test('tables that cannot be joined are refused at their declaration or at start', async () => {
  const app = createApp({ id: 'joined' })
  const text = app.table('text', { key: 'string', value: json<{ n: number }>() })
  const numbers = app.table('numbers', { key: 'number', value: 'string' })
  const everywhere = app.globalTable('everywhere', { key: 'string', value: 'string' })
  const refused = (declare: () => unknown) => {
    try {
      return declare()
    } catch (thrown) {
      return thrown
    }
  }
  expect(refused(() => app.joinTables('x', text, numbers as never, {}, () => 1))).toMatchObject({
    code: 'KEY_CODEC_DIFFERS',
  })
  expect(refused(() => app.joinTables('x', text, everywhere as never, {}, () => 1))).toMatchObject({
    code: 'DEFINITION_INVALID',
    message: expect.stringContaining('global'),
  })
  expect(refused(() => app.joinTables('x', text, text, { kind: 'right' as never }, () => 1))).toMatchObject({
    code: 'DEFINITION_INVALID',
  })
  const passing = app.table('passing', { key: 'string', value: 'string', ttl: '1h' })
  expect(refused(() => app.joinTables('x', passing, text, {}, () => 1))).toMatchObject({
    code: 'DEFINITION_INVALID',
    message: expect.stringContaining('ttl'),
  })
  const uneven = createApp({ id: 'uneven' })
  const wide = uneven.topic('wide', { key: 'string', value: 'string', partitions: 3 })
  const narrow = uneven.topic('narrow', { key: 'string', value: 'string', partitions: 2 })
  const one = uneven.table('one', { key: 'string', value: 'string', from: wide })
  const two = uneven.table('two', { key: 'string', value: 'string', from: narrow })
  uneven.joinTables('both', one, two, {}, (x, y) => x + y)
  const failure: unknown = await testApp(uneven).catch((thrown: unknown) => thrown)
  expect(failure).toMatchObject({ code: 'NOT_COPARTITIONED', message: expect.stringMatching(/both.*3.*two.*2/) })
})
