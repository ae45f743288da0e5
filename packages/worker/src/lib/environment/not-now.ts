/**
 * Why an event is not handed out at present, one bit per reason. The same names hold for the worker, for a task and for
 * a cursor (one agent's reader of one partition): a record is taken when none of the three has a bit set. Nothing else
 * holds back records. `busy` and `key` say whether the agent asks for a record; they are computed for `whyNot` only. So
 * `inWords` of all bits together is the complete answer.
 */
export const NOT_NOW = {
  /** The task is not open yet: its state is being recovered, or its earlier owner fenced. */
  opening: 1,
  /** The group is rebalancing. */
  rebalance: 2,
  /** The worker is stopping. */
  stop: 4,
  /** The lease has run out. */
  lease: 8,
  /** Sends that the broker has not acknowledged, or that wait for a commit, are at their bound. */
  collector: 16,
  /** Changed rows that are not stored are over their bound. */
  rows: 32,
  /** Hand-out has used its share of this turn of the event loop. */
  turn: 64,
  /** The task cannot be committed until an event in flight that has sent more than `maxEventBytes` finishes. */
  spilled: 128,
  /** Records of the task wait for a partition that accepts none. */
  delayed: 256,
  /** Too many events of the partition are uncommitted. */
  uncommitted: 512,
  /** An earlier event has to be handed out again first. */
  deferred: 1024,
  /** All fetched records have been handed out. */
  empty: 2048,
  /** The task is lost, or the worker has ended. */
  closed: 4096,
  /** The agent does not ask for an event: all instances that may take it are at work. */
  busy: 8192,
  /** Some events wait for their next attempt, or for an earlier one of their key; others are handed out. */
  key: 16384,
  /** An event of another partition comes first, by its time. */
  order: 32768,
  /** The codec of its topic waits for something from outside, such as the schema of a record. */
  codec: 65536,
  /** The agent is paused, on all workers. */
  paused: 131072,
  /** The agent's circuit is open, on this worker. */
  circuit: 262144,
} as const

export type Reason = keyof typeof NOT_NOW
export type ReasonBit = (typeof NOT_NOW)[Reason]

/** Nothing to hand out, or a reason that ends with the turn of the event loop: neither delays anything. */
export const PASSING: number = NOT_NOW.empty | NOT_NOW.turn

/** Reasons of an agent: they hold back all its events, and other agents that read the same partitions go on. */
export const AGENT_HELD: number = NOT_NOW.paused | NOT_NOW.circuit

/** Events in flight must finish, so none of them may wait for another event. */
export const DRAINING: number = NOT_NOW.rebalance | NOT_NOW.stop

/**
 * Reasons of a task or an origin that hold back events which were already taken from the partitions of the task; the
 * others block new records only. Without this, events that were sorted to instances would fill memory with sends while
 * their task waits.
 */
export const HOLDS_TAKEN: number = NOT_NOW.opening | NOT_NOW.closed | NOT_NOW.delayed | NOT_NOW.collector | AGENT_HELD

const WORDS: Readonly<Record<Reason, string>> = {
  opening: 'its task is being opened: earlier owners are fenced, and tables are recovered',
  rebalance: 'the group is rebalancing',
  stop: 'the worker is stopping',
  lease: 'no heartbeat has succeeded for a session',
  collector: 'sends that the broker has not acknowledged are at their bound (maxPendingSendBytes)',
  rows: 'changed rows that are not stored yet are over their bound (cacheBytes)',
  turn: 'the event loop gets a turn',
  spilled: 'its task cannot be committed until an event in flight that has sent more than maxEventBytes finishes',
  delayed: 'records of its task wait for a partition that accepts none at present',
  uncommitted: 'too many events or bytes were handed out since its last commit (maxUncommitted, maxUncommittedBytes)',
  deferred: 'an earlier event is to be handed out again first',
  empty: 'all fetched records were handed out',
  closed: 'its task is no longer here',
  busy: 'all instances of the agent that may take it are at work (concurrency)',
  key: 'some events wait for their next attempt, or for an earlier one of their key',
  order: 'an event of another topic has an earlier time and has not finished, or may still come (alignWait)',
  codec: 'the codec of its topic waits for something from outside, such as the schema of a record',
  paused: 'the agent is paused (millrace resume)',
  circuit: 'the circuit of the agent is open: it has failed too often in a row (circuit)',
}

const REASONS: readonly Reason[] = [
  'closed',
  'opening',
  'stop',
  'rebalance',
  'lease',
  'paused',
  'circuit',
  'delayed',
  'collector',
  'rows',
  'spilled',
  'uncommitted',
  'deferred',
  'codec',
  'order',
  'key',
  'busy',
  'turn',
  'empty',
]

/** The reasons in a set of bits, the weightiest first. */
export function reasonsOf(blocked: number): readonly Reason[] {
  return REASONS.filter((reason) => (blocked & NOT_NOW[reason]) !== 0)
}

/** For example `rebalance: the group is rebalancing; …`; `undefined` if there is no reason. */
export function inWords(blocked: number): string | undefined {
  if (blocked === 0) return undefined
  return reasonsOf(blocked)
    .map((reason) => `${reason}: ${WORDS[reason]}`)
    .join('; ')
}
