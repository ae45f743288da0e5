import fc from 'fast-check'
import { inject, type RunnerTestCase, type RunnerTestFile, type RunnerTestSuite, TestRunner } from 'vitest'
import { watchStorages } from '../watch-storages.ts'

// The thread's side of the warm test runner: runs each test once, or only loads it, and then runs those that it is asked
// to run, with the mutant that it is told.

/** What the instrumented sources look at. */
interface Mutants {
  activeMutant?: string | undefined
  hitCount?: number
  hitLimit?: number | undefined
  currentTestId?: string | undefined
  mutantCoverage?: unknown
}

export interface Mode {
  /** Whether tests run while their files are loaded. */
  readonly dry: boolean
  /** The mutant to load the files with. */
  readonly active?: string
  readonly channel: string
  /** How many there are. */
  readonly files: number
}

interface Request {
  readonly kind: 'run' | 'end'
  readonly mutant: string
  readonly hitLimit: number | undefined
  /** All if there are none. */
  readonly tests: readonly string[] | undefined
}

type Answer =
  | { readonly status: 'survived'; readonly nrOfTests: number }
  | { readonly status: 'timeout'; readonly reason: string }
  | { readonly status: 'disturbed'; readonly message: string }
  | {
      readonly status: 'killed'
      readonly killedBy: readonly string[]
      readonly nrOfTests: number
      readonly failureMessage: string
    }

declare module 'vitest' {
  interface ProvidedContext {
    mutants: Mode
  }
}

/** What a test may take beside what it took before. */
const SLACK_MS = 4000

interface Known {
  readonly id: string
  readonly test: RunnerTestCase
  /** How long it took. */
  ms: number
  /** A number that is higher the later it has noticed a mutant. */
  noticed: number
}

function mutants(): Mutants {
  const globals: typeof globalThis & { __stryker__?: Mutants } = globalThis
  return (globals.__stryker__ ??= {})
}

class Late extends Error {}

export default class WarmTests extends TestRunner {
  readonly #mode: Mode = inject('mutants')
  readonly #mutants: Mutants = mutants()
  readonly #known: Known[] = []
  readonly #channel = new BroadcastChannel(this.#mode.channel)
  #files = 0
  #count = 0

  constructor(config: ConstructorParameters<typeof TestRunner>[0]) {
    super(config)
    this.#mutants.activeMutant = this.#mode.active
  }

  override async onBeforeRunTask(test: RunnerTestCase): Promise<void> {
    this.#mutants.currentTestId = idOf(test)
    if (!this.#mode.dry && test.mode === 'run') test.mode = 'skip'
    await super.onBeforeRunTask(test)
  }

  override onAfterRunTask(test: RunnerTestCase): void {
    super.onAfterRunTask(test)
    this.#mutants.currentTestId = undefined
  }

  // oxlint-disable-next-line typescript/no-misused-promises -- Vitest waits for it, whatever its types say
  override async onAfterRunFiles(files?: RunnerTestFile[]): Promise<void> {
    super.onAfterRunFiles()
    for (const file of files ?? []) this.#know(file)
    if (++this.#files === this.#mode.files) await this.#serve()
  }

  #say(message: object): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has none
    this.#channel.postMessage(message)
  }

  #know({ tasks }: RunnerTestSuite): void {
    for (const task of tasks)
      if (task.type === 'suite') this.#know(task)
      else if (TestRunner.getTestFn(task) !== undefined && task.mode !== 'todo')
        this.#known.push({ id: idOf(task), test: task, ms: task.result?.duration ?? 0, noticed: 0 })
  }

  /** Answers requests until it is told to end. */
  async #serve(): Promise<void> {
    // The first example that notices a mutant is enough: no smaller one is looked for.
    fc.configureGlobal({ ...fc.readConfigureGlobal(), endOnFailure: true })
    const ready = {
      kind: 'answer',
      coverage: this.#mutants.mutantCoverage ?? { static: {}, perTest: {} },
      tests: this.#known.map(({ id, ms, test }) => ({ id, ms, message: test.result?.errors?.[0]?.message })),
    }
    this.#mutants.currentTestId = undefined
    await new Promise<void>((resolve) => {
      this.#channel.onmessage = (event: unknown) => {
        const { data } = event as { readonly data: Request }
        if (data.kind === 'end') resolve()
        else void this.#answer(data).then((answer) => this.#say({ kind: 'answer', ...answer }))
      }
      this.#say(ready)
    })
    this.#channel.close()
  }

  async #answer({ mutant, hitLimit, tests }: Request): Promise<Answer> {
    const ids = new Set(tests)
    const asked = this.#known.filter(({ id }) => tests === undefined || ids.has(id))
    // What noticed other mutants of late, and then what is quick.
    asked.sort((a, b) => b.noticed - a.noticed || a.ms - b.ms)
    Object.assign(this.#mutants, { hitCount: 0, hitLimit })
    for (const [at, known] of asked.entries()) {
      const failure = await this.#attempt(known, mutant)
      if (failure === undefined) continue
      const isLate = failure instanceof Late || (this.#mutants.hitCount ?? 0) > (hitLimit ?? Infinity)
      const disturbed = await this.#attempt(known, this.#mode.active)
      if (this.#mode.active === undefined && disturbed !== undefined)
        return { status: 'disturbed', message: `${known.id}: ${disturbed.message}` }
      known.noticed = ++this.#count
      return isLate
        ? { status: 'timeout', reason: failure.message }
        : { status: 'killed', killedBy: [known.id], nrOfTests: at + 1, failureMessage: failure.message }
    }
    return { status: 'survived', nrOfTests: asked.length }
  }

  /** Runs a test with a mutant, or without one, and returns why it failed. */
  async #attempt({ test, ms }: Known, mutant: string | undefined): Promise<Error | undefined> {
    const limitMs = SLACK_MS + 5 * ms
    this.#say({ kind: 'test', limitMs })
    const disable = watchStorages()
    this.#mutants.activeMutant = mutant
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Late(`More than ${limitMs} ms.`)), limitMs)
    })
    try {
      await Promise.race([runWithHooks(test), late])
      return undefined
    } catch (thrown) {
      return thrown instanceof Error ? thrown : new Error(String(thrown))
    } finally {
      clearTimeout(timer)
      this.#mutants.activeMutant = this.#mode.active
      disable()
    }
  }
}

async function runWithHooks(test: RunnerTestCase): Promise<void> {
  const suites: RunnerTestSuite[] = []
  for (let suite: RunnerTestSuite | undefined = test.suite ?? test.file; suite !== undefined; suite = suite.suite)
    suites.unshift(suite)
  if (suites[0] !== test.file) suites.unshift(test.file)
  const after: (() => unknown)[] = []
  for (const suite of suites) {
    const { beforeEach, afterEach } = TestRunner.getSuiteHooks(suite)
    for (const hook of beforeEach) {
      const cleanup: unknown = await hook(test.context, suite)
      if (typeof cleanup === 'function') after.unshift(() => Reflect.apply(cleanup, undefined, []))
    }
    after.unshift(...afterEach.toReversed().map((hook) => () => hook(test.context, suite)))
  }
  try {
    await TestRunner.getTestFn(test)?.()
  } finally {
    for (const hook of after) await hook()
  }
}

function idOf({ file, fullTestName }: RunnerTestCase): string {
  return `${file.name}#${fullTestName}`
}
