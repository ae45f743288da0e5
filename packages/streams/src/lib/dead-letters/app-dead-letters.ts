import {
  deadLetterTopic,
  didYouMean,
  MillraceError,
  partitionKey,
  partitionsOf,
  type RawRecord,
  showBytes,
} from '@millrace/core'
import { type PartitionOffsets, readToEnd, type TopicInfo } from '@millrace/core/driver'
import type {
  AgentDeadLetters,
  DeadLetter,
  DeadLetterListing,
  DeadLetterLocation,
  DeadLetters,
  DeadLetterSummary,
  FirstFailure,
  ReplayOutcome,
} from '@millrace/core/operations'
import type { DueSource } from '@millrace/worker'
import type { PlannedSource } from '../topics/source-plan.ts'
import { type AnyTopic, Topic } from '../topics/topic.ts'
import { byFailure, type LetterRecord, letterRecord } from './letter-record.ts'
import type { OffsetRanges } from './offset-ranges.ts'
import { type LedgerOptions, ReplayLedger } from './replay-ledger.ts'
import { replayLetters, type ReplayOptions } from './replay-letters.ts'

export type DeadLettersOptions = LedgerOptions &
  ReplayOptions & {
    /** In the order declared. */
    readonly agents: readonly DeadLetterAgent[]
    /** Topics that an agent reads, including those between its steps. Default: its declared sources. */
    readonly topicsReadBy?: (agent: string) => Promise<ReadonlySet<string>>
  }

/** The parts of an agent that its dead letters need. */
interface DeadLetterAgent {
  readonly name: string
  readonly shape: { readonly sources: readonly Pick<PlannedSource<never>, 'name' | 'due'>[] }
}

interface LettersWanted extends SignalOption {
  /** Start offset in a partition, if not its beginning. */
  readonly from?: ((offsets: PartitionOffsets) => number) | undefined
  readonly place?: DeadLetterLocation | undefined
}

interface SignalOption {
  readonly signal?: AbortSignal | undefined
}

/**
 * The dead letters of an app, read from and sent to its broker; needs no worker.
 *
 * @example
 * const letters = createDeadLetters({ appId: 'shop', agents: [countWords], transport, admin: transport.admin(), clock })
 * await letters.replay('count-words', 'all')
 */
export function createDeadLetters(options: DeadLettersOptions): DeadLetters {
  return new AppDeadLetters(options)
}

class AppDeadLetters implements DeadLetters {
  readonly #options: DeadLettersOptions

  constructor(options: DeadLettersOptions) {
    this.#options = options
  }

  async list({ agent, newest = NEWEST, most = Infinity, signal }: DeadLetterListing = {}): Promise<
    readonly AgentDeadLetters[]
  > {
    const { appId, agents, admin } = this.#options
    const names = agent === undefined ? agents.map(({ name }) => name) : [this.#agent(agent).name]
    const topics = new Map(
      (await admin.topics(names.map((name) => deadLetterTopic(appId, name)))).map((info) => [info.name, info]),
    )
    const ledger = await ReplayLedger.read(this.#options, signal)
    const all: AgentDeadLetters[] = []
    for (const name of names) {
      const topic = deadLetterTopic(appId, name)
      const info = topics.get(topic)
      const found = { agent: name, topic, letters: 0, waiting: 0, complete: true }
      const last: DeadLetterSummary[] = []
      const from = ({ beginning, end }: PartitionOffsets): number => {
        const first = Math.max(beginning, end - Math.ceil(most / (info?.partitions ?? 1)))
        if (first > beginning) found.complete = false
        return first
      }
      if (info !== undefined)
        for await (const { summary } of this.#letters(info, ledger, { from, signal })) {
          found.letters++
          if (!summary.replayed) found.waiting++
          keepNewest(last, brief(summary), newest)
        }
      all.push({ ...found, newest: last })
    }
    return all
  }

  async show(
    agent: string,
    which: DeadLetterLocation | 'latest',
    { signal }: SignalOption = {},
  ): Promise<DeadLetter | undefined> {
    const { name } = this.#agent(agent)
    const info = await this.#topic(name)
    if (info === undefined) return undefined
    const ledger = await ReplayLedger.read(this.#options, signal)
    const place = which === 'latest' ? undefined : which
    let latest: LetterRecord | undefined
    for await (const letter of this.#letters(info, ledger, { place, signal }))
      if (latest === undefined || byFailure(letter.summary, latest.summary) < 0) latest = letter
    return latest === undefined ? undefined : this.#whole(name, info, latest)
  }

  async replay(
    agent: string,
    which: DeadLetterLocation | 'all',
    { signal }: SignalOption = {},
  ): Promise<ReplayOutcome> {
    const { name, shape } = this.#agent(agent)
    const info = await this.#topic(name)
    const place = which === 'all' ? undefined : which
    if (info === undefined) {
      if (place !== undefined) throw this.#missing(name, place)
      return { replayed: 0, before: 0, refused: { count: 0, first: [] } }
    }
    await ReplayLedger.create(this.#options)
    const outcome = await replayLetters(this.#options, {
      agent: name,
      topics: (await this.#options.topicsReadBy?.(name)) ?? new Set(topicsOf(shape).map((topic) => topic.name)),
      info,
      signal,
      // Read after earlier replays are fenced, so that it includes all their sends.
      readLedger: () => ReplayLedger.read(this.#options, signal),
      letters: (ledger) => this.#letters(info, ledger, { place, signal }),
    })
    const {
      replayed,
      before,
      refused: { count },
    } = outcome
    if (place !== undefined && replayed + before + count === 0) throw this.#missing(name, place)
    const [refused] = outcome.refused.first
    if (place !== undefined && refused?.code !== undefined) throw new MillraceError(refused.code, refused.reason)
    return outcome
  }

  /** All letters from the start offsets `from`, or the one letter at a place. */
  async *#letters(
    info: TopicInfo,
    ledger: ReplayLedger,
    { place, from, signal }: LettersWanted,
  ): AsyncGenerator<LetterRecord, void, undefined> {
    const all = partitionsOf(info.name, info.partitions)
    const partitions = place === undefined ? all : all.filter(({ partition }) => partition === place.partition)
    const start = place === undefined ? from : () => place.offset
    const replayed = new Map<string, OffsetRanges>()
    const { transport, clock } = this.#options
    const reader = transport.reader({ isolation: 'read-committed' })
    for await (const batch of readToEnd(reader, partitions, { from: start, clock, signal })) {
      const key = partitionKey(batch)
      const { partition, beginning, endOffset: end } = batch
      const ranges = replayed.get(key) ?? ledger.of(info, { partition, beginning, end })
      replayed.set(key, ranges)
      for (const record of batch.records)
        if (place === undefined || record.offset === place.offset)
          yield letterRecord(partition, record, ranges.has(record.offset))
      if (place !== undefined && batch.nextOffset > place.offset) return
    }
  }

  #whole(agent: string, { name }: TopicInfo, { summary, stack, own, record }: LetterRecord): DeadLetter {
    const source = this.#declared(summary.source?.topic)
    const due = this.#declaredDue(agent, summary.due?.state)
    return {
      ...summary,
      agent,
      topic: name,
      stack,
      key: showBytes(record.key, source?.key),
      value: showBytes(record.value, source?.value ?? (due && dueValues(due, { ...record, headers: own }))),
      headers: own,
    }
  }

  /** The topics between an agent's steps are known only while it runs, so their records appear as text. */
  #declared(topic: string | undefined): AnyTopic | undefined {
    return this.#options.agents.flatMap(({ shape }) => topicsOf(shape)).find(({ name }) => name === topic)
  }

  /** As with topics: what the steps of an agent have due is known only while it runs. */
  #declaredDue(agent: string, state: string | undefined): DueSource<unknown, unknown> | undefined {
    return this.#agent(agent).shape.sources.find(({ name, due }) => due !== undefined && name === state)?.due
  }

  async #topic(agent: string): Promise<TopicInfo | undefined> {
    const [info] = await this.#options.admin.topics([deadLetterTopic(this.#options.appId, agent)])
    return info
  }

  #agent(name: string): DeadLetterAgent {
    const { agents } = this.#options
    const found = agents.find((agent) => agent.name === name)
    if (found !== undefined) return found
    const names = agents.map((agent) => agent.name)
    throw new MillraceError('AGENT_MISSING', `The app has no agent "${name}".${didYouMean(name, names)}`)
  }

  #missing(agent: string, { partition, offset }: DeadLetterLocation): MillraceError {
    return new MillraceError(
      'DEAD_LETTER_MISSING',
      `Agent "${agent}" has no dead letter in partition ${partition} at offset ${offset}.`,
    )
  }
}

function topicsOf({ sources }: DeadLetterAgent['shape']): readonly AnyTopic[] {
  return sources.filter((source) => source instanceof Topic)
}

/** Decodes the value of a due record to what its handler was given. */
function dueValues(
  source: DueSource<unknown, unknown>,
  record: Pick<RawRecord, 'key' | 'headers'>,
): { readonly name: string; decode(value: Buffer): unknown } {
  return { name: source.kind, decode: (value) => source.valueOf({ ...record, value }) }
}

/** Default number of letters per agent in a listing. */
const NEWEST = 10

/** Longest text of a letter in a listing. */
const MOST_CHARACTERS = 1_000

/** Cuts long texts, which anybody may have put into a letter, because a listing keeps many letters in memory. */
function brief(summary: DeadLetterSummary): DeadLetterSummary {
  const { source, due, failure } = summary
  const { first } = failure
  return {
    ...summary,
    source: source && { ...source, topic: shortened(source.topic) },
    due: due && {
      ...due,
      kind: shortened(due.kind),
      state: shortened(due.state),
      key: shortened(due.key),
      ...(due.timer === undefined ? {} : { timer: shortened(due.timer) }),
    },
    failure: {
      ...failure,
      ...briefError(failure),
      ...(first === undefined ? {} : { first: { ...first, ...briefError(first) } }),
    },
  }
}

function briefError(error: Pick<FirstFailure, 'code' | 'class' | 'message'>): typeof error {
  return { code: shortened(error.code), class: shortened(error.class), message: shortened(error.message) }
}

/** Copies through bytes, because a slice would keep the whole text in memory. */
function shortened(text: string): string {
  return text.length <= MOST_CHARACTERS ? text : Buffer.from(text.slice(0, MOST_CHARACTERS)).toString()
}

/** Inserts a letter in order and drops the oldest if there are too many. */
function keepNewest(newest: DeadLetterSummary[], letter: DeadLetterSummary, limit: number): void {
  const at = newest.findLastIndex((other) => byFailure(letter, other) >= 0) + 1
  if (at >= limit) return
  newest.splice(at, 0, letter)
  newest.length = Math.min(newest.length, limit)
}
