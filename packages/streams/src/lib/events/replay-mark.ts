import { headerNamed, type RawHeaders } from '@millrace/core'

/** Header of a record that was sent back to its topic for one agent: `{app id}/{agent}/{topic}`. */
export const REPLAY_HEADER = 'millrace-replay-for'

/** Header of such a record: the id of the event as which it was handled first. */
export const REPLAY_OF_HEADER = 'millrace-replay-of'

const MARKS: ReadonlySet<string> = new Set([REPLAY_HEADER, REPLAY_OF_HEADER])

/** A place in a topic: a record, or a row that is due. */
export interface EventPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** What an event at this place is called, as long as its record was not replayed. */
export function idOfPlace({ topic, partition, offset }: EventPlace): string {
  return `${topic}/${partition}@${offset}`
}

/**
 * The id of the event of a record: that of its first record, if it was replayed. Anybody who may write to the topic can
 * claim an id, so only one of an earlier record of the partition counts: no event to come can be taken for one that was.
 */
export function eventId(place: EventPlace, headers: RawHeaders): string {
  const claimed = claimedPlace(place, headers)
  return idOfPlace(claimed !== undefined && claimed.offset < place.offset ? claimed : place)
}

/**
 * The same for an event that was due in a state, and that comes back through a topic of the app's own. The numbers of such events
 * have no order, so any of its partition counts.
 */
export function dueEventId(place: EventPlace, { state }: { readonly state: string }, headers: RawHeaders): string {
  return idOfPlace(claimedPlace({ topic: state, partition: place.partition }, headers) ?? place)
}

/** The place that the mark of a replay names as the first one, if it is of this topic and partition. */
function claimedPlace({ topic, partition }: Omit<EventPlace, 'offset'>, headers: RawHeaders): EventPlace | undefined {
  const id = isMarked(headers) ? headerNamed(headers, REPLAY_OF_HEADER) : undefined
  const number = /@(\d{1,16})$/.exec(id ?? '')?.[1]
  if (number === undefined) return undefined
  const claimed = { topic, partition, offset: Number(number) }
  return idOfPlace(claimed) === id ? claimed : undefined
}

/**
 * Names the agent for which a record is replayed, and the topic, so that a mark copied to another topic has no effect
 * there.
 */
export function replayMark(appId: string, agent: string, topic: string): string {
  return `${appId}/${agent}/${topic}`
}

/** The record's headers with the mark, and the id of its event if that is known. */
export function withReplayMark(headers: RawHeaders, mark: string, id?: string): RawHeaders {
  const marked: RawHeaders = [...withoutReplayMark(headers), [REPLAY_HEADER, Buffer.from(mark, 'utf8')]]
  return id === undefined ? marked : [...marked, [REPLAY_OF_HEADER, Buffer.from(id, 'utf8')]]
}

/** Removes the marks, which only their own agent may see, and no receiver of forwarded headers. */
export function withoutReplayMark(headers: RawHeaders): RawHeaders {
  return isMarked(headers) ? headers.filter(([name]) => !MARKS.has(name)) : headers
}

/** Whether a record of `topic` was replayed for another agent than this one. */
export function isForAnother(
  headers: RawHeaders,
  { appId, agent, topic }: { readonly appId: string; readonly agent: string; readonly topic: string },
): boolean {
  if (!isMarked(headers)) return false
  const mark = headerNamed(headers, REPLAY_HEADER)
  return mark !== undefined && mark.endsWith(`/${topic}`) && mark !== replayMark(appId, agent, topic)
}

function isMarked(headers: RawHeaders): boolean {
  for (const [name] of headers) if (MARKS.has(name)) return true
  return false
}
