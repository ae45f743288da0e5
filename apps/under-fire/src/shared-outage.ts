import { setImmediate } from 'node:timers/promises'

/** An outage as one test sees it. */
export interface Outage {
  /** This test is ready for it; resolves when it has begun. */
  begins(): Promise<void>
  /** This test has seen enough of it; resolves when it is over. */
  ends(): Promise<void>
}

/**
 * One outage for several tests that run at the same time: it begins when all are ready for it, and ends when all have seen
 * enough. To be used in `describe.concurrent`, by five tests at most: so many run at once.
 */
export class SharedOutage {
  readonly #begin: () => Promise<void>
  readonly #end: () => Promise<void>
  #begins: Meeting | undefined
  #ends: Meeting | undefined

  constructor(outage: { readonly begin: () => Promise<void>; readonly end: () => Promise<void> }) {
    this.#begin = outage.begin
    this.#end = outage.end
  }

  /** The body of a test that goes through the outage. One that fails on its way holds nobody up. */
  through(body: (outage: Outage) => Promise<void>): () => Promise<void> {
    return async () => {
      const { begins, ends } = this.#meetings()
      const outage = { begins: begins.join(), ends: ends.join() }
      // Those that start together have all joined then.
      await setImmediate()
      try {
        await body(outage)
      } finally {
        await outage.begins()
        await outage.ends()
      }
    }
  }

  /** Those that have not begun yet; a test that is tried again may be late for the first, and has one of its own. */
  #meetings(): { readonly begins: Meeting; readonly ends: Meeting } {
    if (this.#begins !== undefined && this.#ends !== undefined && !this.#begins.isOver)
      return { begins: this.#begins, ends: this.#ends }
    const before = this.#ends?.over
    const begins = new Meeting(async () => {
      await before
      await this.#begin()
    })
    const ends = new Meeting(this.#end)
    this.#begins = begins
    this.#ends = ends
    return { begins, ends }
  }
}

/** Where everyone waits for everyone else, and then for something that is done once. */
class Meeting {
  readonly over: Promise<void>
  readonly #work: () => Promise<void>
  #settle: (work: Promise<void>) => void = () => {}
  #missing = 0
  #isOver = false

  constructor(work: () => Promise<void>) {
    this.#work = work
    this.over = new Promise((resolve) => (this.#settle = resolve))
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** One more to wait for; call what is given back on arrival. */
  join(): () => Promise<void> {
    this.#missing++
    let isHere = false
    return () => {
      if (!isHere && --this.#missing === 0) {
        this.#isOver = true
        this.#settle(this.#work())
      }
      isHere = true
      return this.over
    }
  }
}
