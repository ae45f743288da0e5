import type { Readable } from '../contracts/event.ts'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ReadLog, type ReadingEvent } from './read-log.ts'

/** A row that finished events change; its version is that of its table. */
class Row implements Readable {
  changedAt = 0
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  changedSince(version: number): boolean {
    return this.changedAt > version
  }

  show(): string {
    return this.name
  }
}

test('the version of the first read counts, however often a row is read and whichever event reads in between', () => {
  const log = new ReadLog()
  const [row, other] = [new Row('row'), new Row('other')]
  const [event, neighbour] = [{ open: true }, { open: true }]
  log.add(event, row, 1)
  log.add(neighbour, other, 1)
  row.changedAt = 2
  // The event now reads the current value, but its work on the first value is outdated all the same.
  log.add(event, row, 2)
  expect(log.isOutdated(event)).toBe(true)
  log.add(neighbour, other, 2)
  expect([log.isOutdated(event), log.isOutdated(neighbour)]).toEqual([true, false])
  expect(log.of(event)).toEqual([row])
})

test('in any order of reads and changes, an event is outdated if a row was changed after its first read', () => {
  const step = fc.record({
    event: fc.nat(2),
    row: fc.nat(3),
    what: fc.constantFrom('read', 'read', 'read', 'change', 'forget'),
    // Some read more than fits without a set.
    times: fc.constantFrom(1, 1, 1, 70),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const log = new ReadLog()
      const rows = ['a', 'b', 'c', 'd'].map((name) => new Row(name))
      const events: ReadingEvent[] = [{ open: true }, { open: true }, { open: true }]
      const first = new Map(events.map((event) => [event, new Map<Row, number>()]))
      let version = 0
      for (const { event: nth, row: at, what, times } of steps) {
        const [event, row] = [events[nth], rows[at]]
        if (event === undefined || row === undefined) continue
        const own = first.get(event)
        if (what === 'change') row.changedAt = ++version
        else if (what === 'forget') {
          log.forget(event)
          own?.clear()
        } else
          for (let time = 0; time < times; time++) {
            const one = rows[(at + time) % rows.length] ?? row
            log.add(event, one, version)
            if (own?.has(one) === false) own.set(one, version)
          }
        for (const each of events) {
          const reads = [...(first.get(each) ?? [])]
          expect(log.isOutdated(each)).toBe(reads.some(([one, since]) => one.changedSince(since)))
          expect(new Set(log.of(each))).toEqual(new Set(reads.map(([one]) => one)))
        }
      }
    }),
  )
})
