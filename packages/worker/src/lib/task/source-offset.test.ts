import { manualClock } from '@millrace/core'
import { expect, test } from 'vitest'
import { aTask, cursorOwner, TasksAlone } from '../fixtures/task.fixture.ts'
import { decodeCommitMetadata, sendText } from '../records/commit-metadata.ts'
import type { Progress } from '../records/positions.ts'
import { SourcePartition } from '../records/source-partition.ts'
import { PartitionCursor } from './cursor.ts'
import { seenSends } from './seen-sends.ts'
import { changedOffsets } from './source-offset.ts'

const at = { topic: 'in', partition: 0 }
const app = { appId: 'app', complete: false }

/** A source partition with one reader for each progress. */
function aSource(...all: readonly Progress[]) {
  const worker = new TasksAlone(manualClock())
  const task = aTask(worker, at, 1)
  const source = new SourcePartition(at, 0, worker.flow)
  const cursors = all.map((progress, nth) => {
    const owner = cursorOwner()
    const subscription = { ...owner, spec: { ...owner.spec, id: `id-${nth}`, agent: `agent-${nth}` } }
    return new PartitionCursor(
      {
        task,
        source,
        subscription,
        flow: worker.flow,
        limits: worker.environment.settings,
        keyCodec: undefined,
        refusals: undefined,
      },
      progress,
    )
  })
  return { source, cursors }
}

const gaps = (count: number): Progress => ({
  position: 5,
  finished: Array.from({ length: count }, (_, nth) => ({ from: 7 + nth * 2, to: 8 + nth * 2 })),
})

test('the offset is the lowest position of the readers, and the metadata has what each has finished beyond it', () => {
  const { source, cursors } = aSource({ position: 9, finished: [] }, gaps(1))
  const [change, ...others] = changedOffsets([{ source, cursors }], app)
  expect([change?.offset, change?.metadata, change?.overflow, others]).toEqual([
    5,
    'm1 id-0:4 id-1:0,2+1',
    undefined,
    [],
  ])
})

test('a source is left out only when neither its offset nor its metadata has changed', () => {
  const { source, cursors } = aSource({ position: 9, finished: [] }, gaps(1))
  const sources = [{ source, cursors }]
  const [change] = changedOffsets(sources, app)
  source.committed = change?.offset
  expect(changedOffsets(sources, app)).toEqual([change])
  source.committedMetadata = change?.metadata
  expect(changedOffsets(sources, app)).toEqual([])
  source.committed = 4
  expect(changedOffsets(sources, app)).toEqual([change])
})

test('progress without room in the metadata is left out at least once, and kept as overflow exactly once', () => {
  const { source, cursors } = aSource(gaps(3_000))
  const sources = [{ source, cursors }]
  const [lossy] = changedOffsets(sources, app)
  expect(lossy?.overflow).toBeUndefined()
  const [whole] = changedOffsets(sources, { ...app, complete: true })
  expect(whole?.metadata).toBe(lossy?.metadata)
  const decoded = decodeCommitMetadata({ ...at, offset: 5, metadata: whole?.overflow ?? '' })
  expect(decoded.get('id-0')).toEqual(gaps(3_000))
  // The committed text is then the long one.
  source.committed = 5
  source.committedMetadata = whole?.metadata
  expect(changedOffsets(sources, { ...app, complete: true }).length).toBe(1)
  source.committedMetadata = whole?.overflow
  expect(changedOffsets(sources, { ...app, complete: true })).toEqual([])
  // A text that fits causes no overflow.
  const small = aSource(gaps(1))
  expect(changedOffsets([small], { ...app, complete: true })).toMatchObject([{ overflow: undefined }])
})

test('topics that agents were seen to send to are committed with the offset, and stay known', () => {
  const { source, cursors } = aSource({ position: 5, finished: [] }, { position: 5, finished: [] })
  for (const { counters } of cursors) counters.sent('out')
  const [first] = changedOffsets([{ source, cursors }], app)
  expect(first?.metadata).toBe('m1 id-0:0 id-1:0 >agent-0>out:0 >agent-1>out:0')
  const [again] = changedOffsets([{ source, cursors }], app)
  expect(again?.metadata).toBe(first?.metadata)
})

test('known sends give the same set, and topics that Millrace created for the agent do not count', () => {
  const { cursors } = aSource({ position: 5, finished: [] })
  const known = new Set([sendText({ agent: 'agent-0', topic: 'out' })])
  const [cursor] = cursors
  for (const topic of ['out', 'app-agent-0-x-repartition', 'app-agent-0-dlq', 'app-replies'])
    cursor?.counters.sent(topic)
  expect([...seenSends(known, cursors, 'app')]).toEqual([...known])
  expect(seenSends(known, cursors, 'app')).toBe(known)
  const others = ['app-agent-1-x-repartition', 'app-agent-0-x', 'x-repartition', 'app-agent-1-dlq']
  for (const topic of others) cursor?.counters.sent(topic)
  expect(seenSends(known, cursors, 'app')).toEqual(
    new Set([...known, ...others.map((topic) => sendText({ agent: 'agent-0', topic }))]),
  )
})

test('the entry of a state goes with the partition of its first writer, whatever else a release reads', () => {
  const read = aSource({ position: 9, finished: [] })
  const written = aSource({ position: 3, finished: [] }, { position: 3, finished: [] })
  // The first source has a reader of its own, which does not write the state.
  const entries = { ...app, time: { finishedTexts: () => [] } }
  const texts = (writers: readonly string[]) =>
    changedOffsets([read, written], { ...entries, stateEntries: [{ text: '<<timed<5<7:0', writers }] }).map(
      ({ metadata }) => metadata,
    )
  expect(texts(['id-1', 'id-0'])).toEqual(['m1 id-0:0', 'm1 <<timed<5<7:0 id-0:0 id-1:0'])
  expect(texts(['of another release', 'id-1'])).toEqual(['m1 id-0:0', 'm1 <<timed<5<7:0 id-0:0 id-1:0'])
  expect(texts([])).toEqual(['m1 <<timed<5<7:0 id-0:0', 'm1 id-0:0 id-1:0'])
})
