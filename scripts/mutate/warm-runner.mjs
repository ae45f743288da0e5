// Stryker's side of the warm test runner: a Vitest run that does not end. Its one thread has loaded all test files and
// runs tests again and again, each time with another mutant: what takes a second with a run of its own takes
// milliseconds. The thread's side is warm-tests.ts. Plain JavaScript, because Stryker's processes load it by themselves.

/** Mutants that tests have noticed leave things running. After so many of them a fresh thread begins. */
const MOST_NOTICED = 60

/** A test that has not even come to its own limit by then has stopped the thread. */
const GRACE_MS = 10_000

export class WarmRunner {
  #vitest
  #thread
  #channel
  #run
  #answer
  #guard
  #noticed = 0
  #serving = false

  capabilities() {
    return { reloadEnvironment: true }
  }

  async init() {
    process.env.NODE_ENV = 'test'
    process.env.VITEST = '1'
    const { createVitest, ThreadsPoolWorker } = await import('vitest/node')
    const capture = (thread) => (this.#thread = thread)
    class CapturedWorker extends ThreadsPoolWorker {
      async start() {
        await super.start()
        capture(this)
      }
    }
    this.#vitest = await createVitest('test', {
      config: 'scripts/mutate/vitest.config.ts',
      pool: { name: 'threads', createPoolWorker: (options) => new CapturedWorker(options) },
      maxWorkers: 1,
      watch: false,
      silent: true,
      reporters: [{}],
      coverage: { enabled: false },
    })
    this.#channel = new BroadcastChannel(`mutants-${process.pid}`)
    this.#channel.onmessage = ({ data }) => this.#heard(data)
  }

  async dryRun() {
    const { tests, coverage, failure } = await this.#begin({ dry: true })
    if (failure !== undefined) return { status: 'error', errorMessage: failure }
    return {
      status: 'complete',
      tests: tests.map(({ id, ms, message }) => ({
        ...{ id, name: id, timeSpentMs: ms },
        ...(message === undefined ? { status: 0 } : { status: 1, failureMessage: message }),
      })),
      mutantCoverage: coverage,
    }
  }

  async mutantRun({ activeMutant, testFilter, hitLimit, reloadEnvironment, mutantActivation }) {
    const mutant = activeMutant.id
    if (reloadEnvironment || this.#noticed >= MOST_NOTICED) await this.#end()
    const from = mutantActivation === 'static' ? mutant : undefined
    const request = { kind: 'run', mutant, hitLimit, tests: testFilter }
    let answer = await this.#ask(request, from)
    // A test fails without the mutant, too: what earlier mutants have left running disturbs it.
    if (answer.status === 'disturbed') {
      await this.#end()
      answer = await this.#ask(request, from)
    }
    if (answer.status !== 'survived') this.#noticed++
    if (reloadEnvironment) await this.#end()
    if (answer.status === 'disturbed') return { status: 'error', errorMessage: answer.message }
    return answer
  }

  async dispose() {
    await this.#end()
    this.#channel?.close()
    await this.#vitest?.close()
  }

  async #ask(request, from) {
    if (!this.#serving) {
      const { failure } = await this.#begin({ dry: false, active: from })
      // The mutant breaks the test files while they are loaded.
      if (failure !== undefined) return { status: 'killed', killedBy: [], nrOfTests: 0, failureMessage: failure }
    }
    const answer = this.#next()
    this.#say(request)
    return answer
  }

  /** Starts a thread, which loads all test files. */
  async #begin(mode) {
    const files = await this.#vitest.globTestSpecifications()
    this.#vitest.state.filesMap.clear()
    this.#vitest.state.errorsSet.clear()
    this.#vitest.provide('mutants', { ...mode, channel: this.#channel.name, files: files.length })
    this.#noticed = 0
    const ready = this.#next()
    this.#run = this.#vitest.start().then(
      () => this.#over('The test run has ended.'),
      (error) => this.#over(String(error)),
    )
    const answer = await ready
    this.#serving = answer.failure === undefined
    return answer
  }

  #over(failure) {
    this.#serving = false
    const unhandled = [...(this.#vitest.state.errorsSet ?? [])].map((error) => error?.stack ?? String(error))
    this.#heard({ kind: 'answer', status: 'timeout', failure: [failure, ...unhandled].join('\n') })
  }

  async #end() {
    if (this.#run === undefined) return
    if (this.#serving) this.#say({ kind: 'end' })
    this.#serving = false
    const stop = setTimeout(() => this.#thread?.stop(), GRACE_MS)
    await this.#run
    clearTimeout(stop)
    this.#run = undefined
  }

  #next() {
    return new Promise((resolve) => (this.#answer = resolve))
  }

  #say(message) {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has none
    this.#channel.postMessage(message)
  }

  #heard(message) {
    clearTimeout(this.#guard)
    if (message.kind === 'test')
      this.#guard = setTimeout(() => {
        this.#serving = false
        this.#answer?.({ status: 'timeout', reason: 'The thread has stopped.' })
        void this.#thread?.stop()
      }, message.limitMs + GRACE_MS)
    else if (message.kind === 'answer') this.#answer?.(message)
  }
}
