import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runHere } from '../fixtures/run-here.ts'

test('schemas check exits with 1 if the registry would refuse a schema, and says why', async () => {
  const { code, stdout } = await runHere(['schemas', 'check'])
  expect(code).toBe(1)
  expect(stdout).toMatch(/posts-key +avro +registered +7\n/)
  expect(stdout).toMatch(/posts-value +avro +incompatible +READER_FIELD_MISSING: title\n/)
  const listed = JSON.parse((await runHere(['schemas', 'check', '--json'])).stdout)
  expect(listed).toMatchObject([{ name: 'posts-key', id: 7 }, { reasons: ['READER_FIELD_MISSING: title'] }])
})

test('schemas register exits with 0 if all are registered', async () => {
  expect((await runHere(['schemas', 'register'])).code).toBe(0)
})

test('schemas types writes to the output, or to a file', async () => {
  const types = ['schemas', 'types', '--subject', 'a-value', '--subject', 'b-value']
  const text = '// a-value, b-value\nexport interface Post {}\n'
  expect(await runHere(types)).toMatchObject({ code: 0, stdout: text })
  const directory = mkdtempSync(join(tmpdir(), 'millrace-types-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'types.ts')
  expect(await runHere([...types, '--out', file])).toMatchObject({ code: 0, stdout: `Written: ${file}\n` })
  expect(readFileSync(file, 'utf8')).toBe(text)
})
