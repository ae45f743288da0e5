import type { Readable } from 'node:stream'

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
