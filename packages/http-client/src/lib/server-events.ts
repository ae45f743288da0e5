/** A server-sent event, or what a server says between events. */
export interface StreamedEvent {
  /** `undefined` for a block that only says an id or how long to wait. */
  readonly event: string | undefined
  readonly data: string
  readonly id: string | undefined
  /** How long to wait before the next connection. */
  readonly retryMs: number | undefined
}

/** The longest text without an end that is kept. */
const MOST_CHARS = 32 * 1024 * 1024

/** The events in a stream. `alive` is called whenever something comes, comments included. */
export async function* readServerEvents(
  body: ReadableStream<Uint8Array>,
  alive: () => void,
): AsyncGenerator<StreamedEvent> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let text = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      alive()
      text = (text + decoder.decode(value, { stream: true })).replaceAll('\r\n', '\n')
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      for (const block of blocks) yield parseBlock(block)
      if (text.length > MOST_CHARS) throw new Error(`An event is longer than ${MOST_CHARS} characters.`)
    }
  } finally {
    // The connection is over, whichever side has ended it.
    await reader.cancel().catch(() => undefined)
  }
}

function parseBlock(block: string): StreamedEvent {
  const fields = new Map<string, string>()
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]+)(?:: ?(.*))?$/s.exec(line) ?? []
    const before = fields.get(name)
    fields.set(name, name === 'data' && before !== undefined ? `${before}\n${value}` : value)
  }
  const retry = fields.get('retry')
  return {
    event: fields.get('event'),
    data: fields.get('data') ?? '',
    id: fields.get('id'),
    retryMs: retry !== undefined && /^\d+$/.test(retry) ? Number(retry) : undefined,
  }
}
