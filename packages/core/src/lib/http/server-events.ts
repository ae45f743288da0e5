/** A server-sent event. */
export interface ServerEvent {
  readonly event: string
  readonly data: string
  /** `undefined`: the reader keeps the one before. */
  readonly id: string | undefined
}

/** The longest event that is read. */
const MOST_CHARS = 32 * 1024 * 1024

/** An event as text. `data` and `id` have no line breaks. */
export function eventText({ event, data, id }: ServerEvent): string {
  return `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${data}\n\n`
}

/** Tells a reader the id of everything so far, without an event. */
export function idText(id: string): string {
  return `id: ${id}\n\n`
}

/** Text that readers pass over. */
export function commentText(text: string): string {
  return `: ${text.replaceAll(/[\r\n]+/g, ' ')}\n\n`
}

/** How long a reader waits before it connects again. */
export function retryText(ms: number): string {
  return `retry: ${ms}\n\n`
}

/** The events of a worker's answer, as `eventText` writes them. Rejects if one is longer than 32 million characters. */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const bytes of body) {
    text += decoder.decode(bytes, { stream: true })
    let start = 0
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n', start)) {
      const event = parse(text.slice(start, end))
      start = end + 2
      if (event !== undefined) yield event
    }
    text = text.slice(start)
    if (text.length > MOST_CHARS) throw new Error(`an event is longer than ${MOST_CHARS} characters`)
  }
}

function parse(block: string): ServerEvent | undefined {
  const fields = new Map<string, string>()
  for (const line of block.split('\n')) {
    const colon = line.indexOf(': ')
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2))
  }
  const [event, data] = [fields.get('event'), fields.get('data')]
  return event === undefined || data === undefined ? undefined : { event, data, id: fields.get('id') }
}
