import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'

const NOTHING = Buffer.alloc(0)

/**
 * A stream of Node as the body of a web-standard request or response, read no faster than it is asked for. Node's own
 * conversion throws where nobody can catch it when a stream is cancelled that still has data.
 *
 * @param onCancel when nobody wants the rest
 */
export function bodyStream(source: Readable, onCancel: () => void): ReadableStream<Uint8Array> {
  // Whoever reads is told by the iterator; before that, and after a cancel, there is nobody to tell.
  source.on('error', () => {})
  const pieces: AsyncIterator<Uint8Array> = source[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await pieces.next()
        if (done === true) controller.close()
        else controller.enqueue(value)
      },
      cancel: onCancel,
    },
    { highWaterMark: 0 },
  )
}

/**
 * Puts a web-standard answer on the wire, piece by piece as fast as the client takes them. Rejects when the body fails or
 * the client leaves; then the connection is cut, so that half an answer is not taken for a whole one.
 */
export async function writeResponse(response: Response, outgoing: ServerResponse): Promise<void> {
  const { body, status, headers } = response
  if (outgoing.destroyed) {
    await body?.cancel()
    return
  }
  outgoing.statusCode = status
  for (const [name, value] of headers) if (name !== 'set-cookie') outgoing.setHeader(name, value)
  const cookies = headers.getSetCookie()
  if (cookies.length > 0) outgoing.setHeader('set-cookie', cookies)
  if (body === null) {
    outgoing.end()
    return
  }
  // The first event of a stream may be long in coming; its client wants to know that it will. `flushHeaders` would write the
  // headers as UTF-8, which changes each byte above 127.
  if (!headers.has('content-length')) outgoing.write(NOTHING)
  await pipeline(Readable.fromWeb(body as NodeReadableStream<Uint8Array>), outgoing)
}
