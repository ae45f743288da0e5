import { expect, test } from 'vitest'
import { graphOf, nodeOf } from './graph.ts'

const topic = (name: string, internal = false): Parameters<typeof graphOf>[0]['topics'][number] => ({
  name,
  partitions: undefined,
  key: undefined,
  value: undefined,
  internal,
  created: true,
})

test('topics, agents and tables are nodes, flows are edges, and each occurs once', () => {
  const graph = graphOf(
    {
      topics: [topic('posts'), topic('app-repartition', true)],
      agents: [{ name: 'count', topics: ['posts', 'app-count'], concurrency: 1, help: 'counts' }],
      tables: [
        {
          name: 'posts',
          kind: 'table',
          changelog: 'c',
          key: 'string',
          value: 'number',
          partitions: undefined,
          help: '',
        },
      ],
    },
    [
      { from: { kind: 'agent', name: 'count' }, to: { kind: 'table', name: 'posts' } },
      { from: { kind: 'agent', name: 'count' }, to: { kind: 'table', name: 'posts' } },
      { from: { kind: 'topic', name: 'posts' }, to: { kind: 'agent', name: 'count' } },
      { from: { kind: 'agent', name: 'count' }, to: { kind: 'table', name: 'unknown' } },
      { from: { kind: 'agent', name: 'count' }, to: { kind: 'topic', name: 'app-count-dlq' } },
    ],
  )
  expect(graph.nodes.map(({ id, internal }) => [id, internal])).toEqual([
    ['topic:posts', false],
    ['topic:app-repartition', true],
    ['agent:count', false],
    ['table:posts', false],
    ['topic:app-count', false],
    ['topic:app-count-dlq', true],
  ])
  expect(graph.edges).toEqual([
    { from: 'topic:posts', to: 'agent:count' },
    { from: 'topic:app-count', to: 'agent:count' },
    { from: 'agent:count', to: 'table:posts' },
    { from: 'agent:count', to: 'topic:app-count-dlq' },
  ])
})

test('an id identifies its node', () => {
  for (const id of ['topic:posts', 'agent:a:b', 'table:']) expect(`${nodeOf(id).kind}:${nodeOf(id).name}`).toBe(id)
  expect(() => nodeOf('posts')).toThrow(TypeError)
})
