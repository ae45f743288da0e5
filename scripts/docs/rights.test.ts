import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FURTHER_GRANTS, operationsOf, REQUEST_RIGHTS, WORKER_GRANTS, type ResourceKind } from './rights.ts'

const driver = new URL('../../packages/transport-kafkajs/src/lib/', import.meta.url)
const grants = [...WORKER_GRANTS, ...FURTHER_GRANTS]

test('each request of the driver says which rights it takes, and is asked for by somebody', () => {
  const source = readFileSync(new URL('wire/wire-request.ts', driver), 'utf8')
  const requests = [...source.matchAll(/^ {2}(?<name>\w+): \{ name: '/gm)].flatMap(
    ({ groups }) => groups?.['name'] ?? [],
  )
  expect(requests).toContain('fetch')
  expect(Object.keys(REQUEST_RIGHTS)).toEqual(requests)
  expect(new Set(grants.flatMap((grant) => grant.requests))).toEqual(new Set(requests))
})

test('whatever right a request takes is given with the kind of resource that it is on', () => {
  for (const [request, kinds] of Object.entries(REQUEST_RIGHTS))
    for (const kind of Object.keys(kinds) as ResourceKind[])
      expect(
        grants.filter((grant) => grant.kind === kind && grant.requests.includes(request)),
        `${request} on a ${kind}`,
      ).not.toHaveLength(0)
  // And no grant names a request that has nothing to do with it.
  for (const { kind, requests, what } of grants)
    expect(
      requests.filter((request) => REQUEST_RIGHTS[request]?.[kind] === undefined),
      what,
    ).toEqual([])
})

test('rights that the tests of the driver take away are among those that a worker is given', () => {
  const source = readFileSync(new URL('login.kafka.test.ts', driver), 'utf8')
  const denied = [
    ...source.matchAll(
      /\.\.\.denied,\s*resourceType: AclResourceTypes\.(?<kind>\w+),\s*resourceName: '\w+',\s*operation: AclOperationTypes\.(?<operation>\w+)/g,
    ),
  ].map(({ groups = {} }) => `${groups['kind']} ${groups['operation']}`)
  expect(denied).toEqual(['TOPIC WRITE', 'GROUP READ', 'TRANSACTIONAL_ID WRITE'])
  const given = WORKER_GRANTS.flatMap((grant) =>
    operationsOf(grant).map((operation) => `${grant.kind.replace('-', '_')} ${operation}`.toUpperCase()),
  )
  expect(denied.filter((right) => !given.includes(right))).toEqual([])
})

test('Describe goes without saying beside Read, Write or Delete, and only there', () => {
  expect(operationsOf({ kind: 'topic', requests: ['metadata', 'fetch'] })).toEqual(['Read'])
  expect(operationsOf({ kind: 'topic', requests: ['metadata'] })).toEqual(['Describe'])
  expect(operationsOf({ kind: 'topic', requests: ['describeConfigs', 'listOffsets'] })).toEqual([
    'Describe',
    'DescribeConfigs',
  ])
})
