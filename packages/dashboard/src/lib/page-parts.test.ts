import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { HistoryPoint } from './history.ts'

interface Place {
  readonly id: string
  readonly x: number
  readonly y: number
}

interface Edge {
  readonly from: string
  readonly to: string
}

interface FlowPart {
  layOut(
    graph: { readonly nodes: readonly { readonly id: string }[]; readonly edges: readonly Edge[] },
    options: { readonly downwards: boolean; readonly room: number },
  ): { readonly nodes: readonly Place[]; readonly width: number; readonly height: number }
}

interface MergePart {
  mergeHistories(histories: Readonly<Record<string, readonly HistoryPoint[]>>): readonly HistoryPoint[]
}

interface FormatPart {
  letterPlace(letter: { readonly source?: object; readonly due?: object }): string
  short(number: number | undefined): string
  duration(ms: number | undefined): string
}

/** The page's own files, unmodified. */
const part = (name: string): string => new URL(`../../assets/${name}`, import.meta.url).href
const { layOut }: FlowPart = await import(part('flow.js'))
const { mergeHistories }: MergePart = await import(part('merge.js'))
const { short, duration, letterPlace }: FormatPart = await import(part('format.js'))

it('says where the event of a dead letter came from', () => {
  expect(letterPlace({ source: { topic: 'posts', partition: 1, offset: 7 } })).toBe('posts/1 at 7')
  expect(letterPlace({ due: { kind: 'timer', state: 'reminders', key: 'order-7', timer: 'unpaid' } })).toBe(
    'timer unpaid of order-7 in reminders',
  )
  expect(
    letterPlace({ due: { kind: 'window', state: 'minutes', key: 'home', window: { start: 0, end: 60_000 } } }),
  ).toBe('window 1970-01-01T00:00:00.000Z to 1970-01-01T00:01:00.000Z of home in minutes')
  expect(letterPlace({ due: { kind: 'window', state: 'm', key: 'k', window: { start: 1e300, end: 0 } } })).toContain(
    '1e+300',
  )
  expect(letterPlace({})).toBe('unknown place')
})

it('lays out every node once, without overlaps, and edges point forward', () => {
  const graphs = fc.integer({ min: 1, max: 12 }).chain((count) =>
    fc.record({
      nodes: fc.constant(Array.from({ length: count }, (_, at) => ({ id: `n${at}` }))),
      edges: fc.array(
        fc
          .record({ from: fc.nat(count - 1), to: fc.nat(count - 1) })
          .map(({ from, to }) => ({ from: `n${from}`, to: `n${to}` })),
        { maxLength: 20 },
      ),
    }),
  )
  fc.assert(
    fc.property(graphs, fc.boolean(), (graph, downwards) => {
      const { nodes, width, height } = layOut(graph, { downwards, room: 1200 })
      expect(nodes.map(({ id }) => id).sort()).toEqual(graph.nodes.map(({ id }) => id).sort())
      expect(new Set(nodes.map(({ x, y }) => `${x} ${y}`)).size).toBe(nodes.length)
      for (const { x, y } of nodes) expect(x >= 0 && y >= 0 && x < width && y < height).toBe(true)
    }),
  )
  const chain = layOut(
    {
      nodes: ['c', 'b', 'a'].map((id) => ({ id })),
      edges: [
        { from: 'a', to: 'b' },
        { from: 'b', to: 'c' },
        { from: 'c', to: 'b' },
      ],
    },
    { downwards: false, room: 1200 },
  )
  const x = new Map(chain.nodes.map((node) => [node.id, node.x]))
  expect((x.get('a') ?? 0) < (x.get('b') ?? 0) && (x.get('b') ?? 0) < (x.get('c') ?? 0)).toBe(true)
})

it('adds up the histories of workers, second by second', () => {
  const points = (start: number, count: number, events: number): readonly HistoryPoint[] =>
    Array.from({ length: count }, (_, at) => ({
      at: start + at * 1000,
      events,
      sent: 0,
      lag: 1,
      commitAgeMs: events,
      errors: 0,
    }))
  expect(mergeHistories({})).toEqual([])
  expect(mergeHistories({ one: points(0, 3, 5), two: [] })).toHaveLength(3)
  const merged = mergeHistories({ one: points(0, 5, 5), two: points(2_400, 3, 7) })
  expect(merged.map(({ at, events, lag, commitAgeMs }) => [at, events, lag, commitAgeMs])).toEqual([
    [0, 5, 1, 5],
    [1_000, 5, 1, 5],
    [2_000, 5, 1, 5],
    [3_000, 12, 2, 7],
    [4_000, 12, 2, 7],
  ])
})

it('formats numbers and times as short as possible', () => {
  expect([0, 7, 12.34, 999, 999.6, 12_440, 99_960, 1_234_567, undefined].map(short)).toEqual([
    '0',
    '7',
    '12',
    '999',
    '1.0k',
    '12.4k',
    '100k',
    '1.2M',
    '–',
  ])
  expect([0, 0.006, 0.42, 7.25, 40, 9_940, 12_000, 200_000, 90_000_000, undefined].map(duration)).toEqual([
    '0 ms',
    '6 µs',
    '0.4 ms',
    '7.3 ms',
    '40 ms',
    '9.9 s',
    '12 s',
    '3 min 20 s',
    '1 d 1 h',
    '–',
  ])
})
