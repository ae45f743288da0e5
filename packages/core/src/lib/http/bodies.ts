import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'

const NOTHING = Buffer.alloc(0)

/**
 * A stream of Node as the body of a web-standard request or response, read no faster than its consumer asks. Node's own
 * conversion throws an uncatchable error if a stream with data left is cancelled.
 *
 * @param onCancel when nobody wants the rest
 */
export function bodyStream(source: Readable, onCancel: () => void): ReadableStream<Uint8Array> {
  // The iterator reports the error to its reader; before that, and after a cancel, there is no reader.
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
 * Writes a web-standard response piece by piece, as fast as the client reads it. Rejects if the body fails or the
 * client leaves; the connection is then closed, so that half an answer does not look complete.
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
  // The first event of a stream may take long, and the client should get the headers before. `flushHeaders` would write
  // the headers as UTF-8, which changes each byte above 127.
  if (!headers.has('content-length')) outgoing.write(NOTHING)
  await pipeline(Readable.fromWeb(body as NodeReadableStream<Uint8Array>), outgoing)
}
