/** What Kafka's authorizer knows by name. */
export type ResourceKind = 'topic' | 'group' | 'transactional-id'

type Operations = Readonly<Partial<Record<ResourceKind, readonly Operation[]>>>
type Operation = 'Read' | 'Write' | 'Describe' | 'Create' | 'Delete' | 'DescribeConfigs'

/**
 * What Kafka wants for each request of the driver, by its name in `APIS` of the driver's `wire-request.ts`: from the table
 * "Operations and Resources on Protocols" of Kafka's documentation, for how the driver sends them (no automatic creation of
 * topics).
 */
export const REQUEST_RIGHTS: Readonly<Record<string, Operations>> = {
  produce: { topic: ['Write'], 'transactional-id': ['Write'] },
  fetch: { topic: ['Read'] },
  listOffsets: { topic: ['Describe'] },
  metadata: { topic: ['Describe'] },
  offsetCommit: { topic: ['Read'], group: ['Read'] },
  offsetFetch: { topic: ['Describe'], group: ['Describe'] },
  findCoordinator: { group: ['Describe'], 'transactional-id': ['Describe'] },
  joinGroup: { group: ['Read'] },
  heartbeat: { group: ['Read'] },
  leaveGroup: { group: ['Read'] },
  syncGroup: { group: ['Read'] },
  describeGroups: { group: ['Describe'] },
  createTopics: { topic: ['Create'] },
  deleteTopics: { topic: ['Delete'] },
  deleteRecords: { topic: ['Delete'] },
  initProducerId: { topic: ['Write'], 'transactional-id': ['Write'] },
  addPartitionsToTxn: { topic: ['Write'], 'transactional-id': ['Write'] },
  addOffsetsToTxn: { group: ['Read'], 'transactional-id': ['Write'] },
  endTxn: { 'transactional-id': ['Write'] },
  txnOffsetCommit: { topic: ['Read'], group: ['Read'], 'transactional-id': ['Write'] },
  describeConfigs: { topic: ['DescribeConfigs'] },
  deleteGroups: { group: ['Delete'] },
}

/** Rights on one resource, as an operator gives them. */
export interface Grant {
  readonly kind: ResourceKind
  /** In the words of the page. */
  readonly what: string
  /** As `kafka-acls` is told, for the app `shop` that reads `orders` and writes `totals`. */
  readonly name: string
  readonly prefixed?: true
  /** The requests that ask for it. */
  readonly requests: readonly string[]
  readonly why: string
}

const READS = ['metadata', 'listOffsets', 'fetch', 'offsetCommit', 'offsetFetch', 'txnOffsetCommit']
/** A producer outside of transactions gets its id with the right to write to any one topic (Kafka 2.8 and later). */
const WRITES = ['metadata', 'produce', 'initProducerId', 'addPartitionsToTxn']

/** What a worker cannot run without. */
export const WORKER_GRANTS: readonly Grant[] = [
  { kind: 'topic', what: 'each topic that it reads', name: 'orders', requests: READS, why: 'Agents, global tables.' },
  { kind: 'topic', what: 'each topic that it writes', name: 'totals', requests: WRITES, why: '`send`, `through`.' },
  {
    kind: 'topic',
    what: 'topics with its prefix',
    name: 'shop-',
    prefixed: true,
    requests: [...READS, ...WRITES, 'createTopics', 'deleteRecords', 'describeConfigs'],
    why: 'Its own: changelogs, repartition topics (what was read of them is deleted), dead letters, replies, the notes of jobs and replays.',
  },
  {
    kind: 'group',
    what: 'the group with its id',
    name: 'shop',
    requests: [
      ...['findCoordinator', 'joinGroup', 'syncGroup', 'heartbeat', 'leaveGroup', 'describeGroups'],
      ...['offsetCommit', 'offsetFetch', 'addOffsetsToTxn', 'txnOffsetCommit'],
    ],
    why: 'Members and offsets.',
  },
  {
    kind: 'transactional-id',
    what: 'transactional ids with its prefix',
    name: 'shop-',
    prefixed: true,
    requests: [
      ...['findCoordinator', 'initProducerId', 'addPartitionsToTxn', 'addOffsetsToTxn'],
      ...['produce', 'txnOffsetCommit', 'endTxn'],
    ],
    why: 'Exactly once, jobs of the leader, replays of dead letters.',
  },
]

/** What only some want. */
export const FURTHER_GRANTS: readonly Grant[] = [
  {
    kind: 'topic',
    what: 'each topic that it reads or writes',
    name: 'orders',
    requests: ['createTopics'],
    why: 'If the app is to create it. Not with `create: false` on the topic, nor when it is there.',
  },
  {
    kind: 'topic',
    what: 'each topic that it reads',
    name: 'orders',
    requests: ['produce', 'addPartitionsToTxn'],
    why: '`millrace dlq replay`, replays on the dashboard or by `app.deadLetters`: letters go back to where they came from.',
  },
  {
    kind: 'topic',
    what: 'each topic that it reads or writes',
    name: 'orders',
    requests: ['describeConfigs'],
    why: '`millrace topics` shows how long it is kept; without the right it leaves that out.',
  },
  {
    kind: 'topic',
    what: 'topics with its prefix',
    name: 'shop-',
    prefixed: true,
    requests: ['deleteTopics'],
    why: '`millrace reset`, by whoever runs it.',
  },
  {
    kind: 'group',
    what: 'the group with its id',
    name: 'shop',
    requests: ['deleteGroups'],
    why: '`millrace reset`, by whoever runs it.',
  },
]

/** The operations of a grant, without those that Kafka gives with another of them. */
export function operationsOf({ kind, requests }: Pick<Grant, 'kind' | 'requests'>): readonly Operation[] {
  const wanted = new Set(requests.flatMap((request) => REQUEST_RIGHTS[request]?.[kind] ?? []))
  if (['Read', 'Write', 'Delete'].some((operation) => wanted.has(operation as Operation))) wanted.delete('Describe')
  return [...wanted].toSorted()
}
