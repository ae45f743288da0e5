import { toError, withTimeout, type Clock } from '@millrace/core'
import { PageError, parseBody } from './page-error.ts'

export interface BodyLimits {
  readonly bytes: number
  /** The setting of the limit, for the answer. */
  readonly setting?: string
  /** Longest wait for the next piece. */
  readonly idleMs: number
  readonly clock: Pick<Clock, 'schedule'>
}

/**
 * The same request with a limited body. Reading fails with a `PageError`: 413 if the body is longer than the limit, 408
 * if the client stops sending, 400 if the body breaks off or is not valid JSON or form data. A request whose declared
 * length is over the limit is refused at once.
 */
export function limitBody(request: Request, limits: BodyLimits): Request {
  if (request.method === 'GET' || request.method === 'HEAD') return request
  if (Number(request.headers.get('content-length') ?? 0) > limits.bytes) throw tooLong(limits)
  const { method, headers, body, signal } = request
  const init = body === null ? {} : { body: limitedStream(body, limits), duplex: 'half' as const }
  return new LimitedRequest(request.url, { method, headers, ...init }, signal)
}

class LimitedRequest extends Request {
  /**
   * Use the client's own signal and none derived from it: Node would keep each derived request for as long as the
   * client's signal has listeners.
   */
  override readonly signal: AbortSignal

  constructor(
    input: ConstructorParameters<typeof Request>[0],
    init: ConstructorParameters<typeof Request>[1],
    signal: AbortSignal,
  ) {
    super(input, init)
    this.signal = signal
  }

  override readonly clone = (): LimitedRequest =>
    new LimitedRequest(Request.prototype.clone.call(this), undefined, this.signal)

  override readonly formData = async (): Promise<FormData> => {
    try {
      return await Request.prototype.formData.call(this)
    } catch (error) {
      const reason = toError(error)
      for (const each of [reason, reason.cause]) if (each instanceof PageError) throw each
      throw new PageError(400, 'The body is not a form.', { cause: error })
    }
  }

  override readonly json = async (): Promise<unknown> => parseBody(await this.text())
}

function limitedStream(body: ReadableStream<Uint8Array>, limits: BodyLimits): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  let seen = 0
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // Do not cancel the source after a failure: that would close the connection before the answer is sent.
        const { done, value } = await withTimeout(readPiece(reader), limits.idleMs, limits.clock, () => tooSlow(limits))
        if (done) {
          controller.close()
          return
        }
        seen += value.byteLength
        if (seen > limits.bytes) throw tooLong(limits)
        controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

type BodyReader = ReadableStreamDefaultReader<Uint8Array>

async function readPiece(reader: BodyReader): ReturnType<BodyReader['read']> {
  try {
    return await reader.read()
  } catch (error) {
    throw new PageError(400, 'The body broke off.', { cause: error })
  }
}

function tooLong({ bytes, setting }: BodyLimits): PageError {
  return new PageError(413, `The body is longer than ${bytes} bytes${setting === undefined ? '' : ` (${setting})`}.`)
}

function tooSlow({ idleMs }: BodyLimits): PageError {
  return new PageError(408, `No more of the body arrived within ${idleMs} ms.`)
}
