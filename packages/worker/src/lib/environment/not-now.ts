/**
 * Why an event is not handed out just now, one bit a reason. The same names hold for the worker, for one of its tasks and
 * for a cursor (what one agent reads of one partition): a record is taken when all three have no bit set. Nothing else
 * holds records back; whether the agent asks for one is told by `busy` and `key`, which are found out for `whyNot` alone. So
 * `inWords` of all together is the whole answer.
 */
export const NOT_NOW = {
  /** The task is not open yet: its state is being recovered, or its earlier owner shut out. */
  opening: 1,
  /** The group is rebalancing. */
  rebalance: 2,
  /** The worker stops. */
  stop: 4,
  /** The lease has run out. */
  lease: 8,
  /** Sends that the broker has not acknowledged, or that wait for a commit, are at their bound. */
  collector: 16,
  /** Changed rows that are not stored are over their bound. */
  rows: 32,
  /** This turn of the event loop was long enough. */
  turn: 64,
  /** The task is committed only when an event in flight has finished that has sent more than it may hold. */
  spilled: 128,
  /** Records of the task wait for a partition that takes none. */
  delayed: 256,
  /** Too much has been handed out of the partition since its last commit. */
  uncommitted: 512,
  /** An earlier event has to be handed out again first. */
  deferred: 1024,
  /** No record has been fetched that was not handed out. */
  empty: 2048,
  /** The task is lost, or the worker has ended. */
  closed: 4096,
  /** The agent has not asked for it: all its instances that may take it are at work. */
  busy: 8192,
  /** Some events wait for their next attempt, or for an earlier one of their key; others go out. */
  key: 16384,
  /** An event of another partition comes first, by its time. */
  order: 32768,
} as const

export type Reason = keyof typeof NOT_NOW
export type ReasonBit = (typeof NOT_NOW)[Reason]

/** Nothing to hand out, or over in the next turn of the event loop: nobody waits because of these. */
export const PASSING: number = NOT_NOW.empty | NOT_NOW.turn

/** Events in flight are waited for: none of them may wait for another one to come. */
export const DRAINING: number = NOT_NOW.rebalance | NOT_NOW.stop

/**
 * What holds back a task's events that were taken from its partitions already; the others keep new ones from being
 * taken. What a waiting task has been sorted to instances would otherwise go on to fill memory with its sends.
 */
export const HOLDS_TAKEN: number = NOT_NOW.opening | NOT_NOW.closed | NOT_NOW.delayed | NOT_NOW.collector

const WORDS: Readonly<Record<Reason, string>> = {
  opening: 'its task is being opened: an earlier owner is shut out, and tables are recovered',
  rebalance: 'the group is rebalancing',
  stop: 'the worker stops',
  lease: 'no heartbeat has succeeded for a session',
  collector: 'sends that the broker has not acknowledged are at their bound (maxPendingSendBytes)',
  rows: 'changed rows that are not stored yet are over their bound (cacheBytes)',
  turn: 'the event loop is given a turn',
  spilled: 'its task is committed once an event in flight has finished that has sent more than maxEventBytes',
  delayed: 'records of its task wait for a partition that takes none just now',
  uncommitted: 'too many events or bytes were handed out since its last commit (maxUncommitted, maxUncommittedBytes)',
  deferred: 'an earlier event is to be handed out again first',
  empty: 'nothing has been fetched that was not handed out',
  closed: 'its task is no longer here',
  busy: 'all instances of the agent that may take it are at work (concurrency)',
  key: 'some events wait for their next attempt, or for an earlier one of their key',
  order: 'an event of another topic has an earlier time and has not finished, or may still come (alignWait)',
}

const REASONS: readonly Reason[] = [
  'closed',
  'opening',
  'stop',
  'rebalance',
  'lease',
  'delayed',
  'collector',
  'rows',
  'spilled',
  'uncommitted',
  'deferred',
  'order',
  'key',
  'busy',
  'turn',
  'empty',
]

/** The reasons of a number of bits, the weightiest first. */
export function reasonsOf(blocked: number): readonly Reason[] {
  return REASONS.filter((reason) => (blocked & NOT_NOW[reason]) !== 0)
}

/** `rebalance: the group is rebalancing; …`, or `undefined` when nothing stands in the way. */
export function inWords(blocked: number): string | undefined {
  if (blocked === 0) return undefined
  return reasonsOf(blocked)
    .map((reason) => `${reason}: ${WORDS[reason]}`)
    .join('; ')
}
