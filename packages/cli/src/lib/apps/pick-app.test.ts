import { commandLine } from '@millrace/core/operations'
import { expect, test } from 'vitest'
import { fakeApp } from '../../fixtures/fake-app.ts'
import { pickApp } from './load-app.ts'

const one = fakeApp({ id: 'one' })
const two = fakeApp({ id: 'two' })

test.each([
  ['the one named', { one, two }, 'two', 'two'],
  ['the one called app', { one, app: two }, undefined, 'two'],
  ['the default one', { one, default: two }, undefined, 'two'],
  ['the only one', { other: 1, two }, undefined, 'two'],
  ['one under two names', { two, again: two }, undefined, 'two'],
])('picks %s', (_, exports, name, id) => {
  expect(pickApp(exports, name, 'app.ts').id).toBe(id)
})

test.each([
  [{ one, two }, undefined, 'app.ts exports several apps: one, two. Name one: -A app.ts:one'],
  [{ settings: {} }, undefined, 'app.ts exports no app: it exports settings'],
  [{}, undefined, 'app.ts exports no app: it exports nothing'],
  [{ one }, 'two', 'app.ts has no export "two": it exports one'],
  [{ one: 1 }, 'one', 'The export "one" of app.ts is no app'],
  [{ one }, 'toString', 'app.ts has no export "toString"'],
])('refuses %j', (exports, name, message) => {
  expect(() => pickApp(exports, name, 'app.ts')).toThrow(message)
})

test('refuses an app of another release and says why', () => {
  const newer = { [commandLine]: Object.create(one[commandLine], { version: { value: 2 } }) }
  expect(() => pickApp({ newer }, undefined, 'app.ts')).toThrow('speaks version 2')
})
