import { headerNamed, type RawHeaders } from '@millrace/core'

/** Header of a record that was sent back to its topic for one agent: `{app id}/{agent}/{topic}`. */
export const REPLAY_HEADER = 'millrace-replay-for'

/**
 * Names the agent for which a record is replayed, and the topic, so that a mark copied to another topic has no effect
 * there.
 */
export function replayMark(appId: string, agent: string, topic: string): string {
  return `${appId}/${agent}/${topic}`
}

/** The record's headers with the mark. */
export function withReplayMark(headers: RawHeaders, mark: string): RawHeaders {
  return [...withoutReplayMark(headers), [REPLAY_HEADER, Buffer.from(mark, 'utf8')]]
}

/** Removes the mark, which only its own agent may see, and no receiver of forwarded headers. */
export function withoutReplayMark(headers: RawHeaders): RawHeaders {
  return isMarked(headers) ? headers.filter(([name]) => name !== REPLAY_HEADER) : headers
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
  for (const header of headers) if (header[0] === REPLAY_HEADER) return true
  return false
}
