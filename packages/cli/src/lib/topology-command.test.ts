import { commandLine } from '@millrace/core/operations'
import { expect, test } from 'vitest'
import { fakeApp, fakeTopic } from '../fixtures/fake-app.ts'
import { runHere } from '../fixtures/run-here.ts'

test('topology says who reads and writes what', async () => {
  const { code, stdout } = await runHere(['topology'])
  expect(code).toBe(0)
  expect(stdout.split('\n')).toEqual([
    'fake-count-words -> [count-words]',
    'posts, more-posts -> [shuffle-words] -> shuffled',
    '(word_counts)  table',
    'absent  no agent is declared to read or write it (--seen tells who was seen to send to it)',
    '',
  ])
})

test('topology --seen has what agents were seen to send to in their code', async () => {
  const topics = [
    fakeTopic('absent', { sentBy: ['count-words'] }),
    fakeTopic('shuffled', { sentBy: ['shuffle-words'] }),
  ]
  const app = fakeApp({ topics })[commandLine]
  const { stdout } = await runHere(['topology', '--seen'], { app })
  expect(stdout.split('\n')).toEqual([
    'fake-count-words -> [count-words] -> absent',
    'posts, more-posts -> [shuffle-words] -> shuffled',
    '(word_counts)  table',
    '',
  ])
  const { stdout: json } = await runHere(['topology', '--seen', '--json'], { app })
  expect(JSON.parse(json)).toMatchObject({ agents: [{ sends: ['absent'] }, { sends: ['shuffled'] }] })
})

test('topology as a Mermaid flowchart: every node, and an arrow for each topic that is read or sent to', async () => {
  const { stdout } = await runHere(['topology', '--mermaid'])
  const lines = stdout.trimEnd().split('\n')
  expect(lines[0]).toBe('flowchart LR')
  const idOf = (shape: string): string =>
    /^ {2}(\w+)/.exec(lines.find((line) => line.endsWith(shape)) ?? '')?.[1] ?? `nothing is ${shape}`
  const [posts, shuffle, shuffled] = [idOf('[/"posts"/]'), idOf('["shuffle-words"]'), idOf('[/"shuffled"/]')]
  expect(lines).toContain(`  ${posts} --> ${shuffle}`)
  expect(lines).toContain(`  ${shuffle} --> ${shuffled}`)
  expect(idOf('[("word_counts")]')).toMatch(/^table/)
})

test('topology as JSON', async () => {
  expect(JSON.parse((await runHere(['topology', '--json'])).stdout)).toMatchObject({
    agents: [
      { name: 'count-words', reads: ['fake-count-words'] },
      { name: 'shuffle-words', sends: ['shuffled'] },
    ],
    tables: [{ name: 'word_counts', kind: 'table', source: null }],
  })
})
