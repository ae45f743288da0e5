import type { AppDescription } from '@millrace/core/operations'
import { expect, test } from 'vitest'
import { topologyChanges } from './topology-changes.ts'

const before: AppDescription = {
  id: 'shop',
  version: '1.0.0',
  broker: 'embedded:',
  store: 'memory:',
  processingGuarantee: 'at-least-once',
  agents: [{ name: 'count', topics: ['orders'], concurrency: 1, help: '' }],
  tables: [
    { name: 'totals', kind: 'table', changelog: 'c', key: 'string', value: 'number', partitions: undefined, help: '' },
  ],
  topics: [
    { name: 'orders', partitions: 8, key: 'string', value: 'json', internal: false, created: true },
    { name: 'shop-count', partitions: 8, key: 'string', value: 'json', internal: true, created: true },
  ],
  commands: [],
}

test('nothing has changed', () => {
  expect(topologyChanges(before, { ...before, version: '2.0.0', topics: before.topics.slice(0, 1) })).toEqual([])
})

test('additions, removals and changes', () => {
  const after: AppDescription = {
    ...before,
    agents: [
      { name: 'count', topics: ['orders'], concurrency: 4, help: 'help is no part of the topology' },
      { name: 'audit', topics: ['orders', 'refunds'], concurrency: 1, help: '' },
    ],
    tables: [],
    topics: [{ name: 'orders', partitions: 8, key: 'string', value: 'json', internal: false, created: true }],
  }
  expect(topologyChanges(before, after)).toEqual([
    '- table totals',
    '~ agent count (reads orders, concurrency 1 -> reads orders, concurrency 4)',
    '+ agent audit (reads orders, refunds, concurrency 1)',
  ])
})
