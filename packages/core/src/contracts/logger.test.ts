import { expect, test } from 'vitest'
import { plainLogger } from './logger.ts'

test("lines have the shape of the command line's log: level, time, pid, fields, msg", () => {
  const lines: string[] = []
  const { write } = process.stderr
  process.stderr.write = (text: unknown): boolean => lines.push(String(text)) > 0
  try {
    plainLogger({ now: () => 0 }).warn({ topic: 'posts', size: 3n }, 'It is slow.')
  } finally {
    process.stderr.write = write
  }
  const line: object = JSON.parse(lines[0] ?? '')
  expect(Object.keys(line)).toEqual(['level', 'time', 'pid', 'topic', 'size', 'msg'])
  expect(line).toMatchObject({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    topic: 'posts',
    size: '3',
    msg: 'It is slow.',
  })
})
