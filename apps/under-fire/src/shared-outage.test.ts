import { expect, test } from 'vitest'
import { SharedOutage } from './shared-outage.ts'

function logged(): { readonly log: string[]; readonly outage: SharedOutage } {
  const log: string[] = []
  const note = (what: string) => async () => void log.push(what)
  return { log, outage: new SharedOutage({ begin: note('begin'), end: note('end') }) }
}

test('begins once when all are ready, and ends once when all have seen enough', async () => {
  const { log, outage } = logged()
  const body = (name: string) =>
    outage.through(async ({ begins, ends }) => {
      log.push(`${name} ready`)
      await begins()
      log.push(`${name} in it`)
      await ends()
      log.push(`${name} after it`)
    })
  await Promise.all([body('a')(), body('b')()])
  expect(log).toEqual(['a ready', 'b ready', 'begin', 'a in it', 'b in it', 'end', 'a after it', 'b after it'])
})

test('one that fails on its way holds nobody up, and has an outage of its own when it is tried again', async () => {
  const { log, outage } = logged()
  const good = outage.through(async ({ begins, ends }) => {
    await begins()
    await ends()
  })
  const bad = outage.through(async () => {
    throw new Error('on its way')
  })
  const [first, second] = await Promise.allSettled([good(), bad()])
  expect([first.status, second.status]).toEqual(['fulfilled', 'rejected'])
  await good()
  expect(log).toEqual(['begin', 'end', 'begin', 'end'])
})
