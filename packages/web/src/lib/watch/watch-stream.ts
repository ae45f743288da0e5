import { commentText, retryText } from '@millrace/core/http'
import type { WatchRequest } from './watches.ts'

/** How long a client waits before it connects again. */
const RETRY_MS = 1_000
const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  // Otherwise nginx keeps events back.
  'x-accel-buffering': 'no',
}

/** The body of one watch. It takes the next event when the client has taken the one before. */
export class WatchStream {
  readonly #encoder = new TextEncoder()
  readonly #stop = new AbortController()
  readonly #client: AbortSignal
  readonly #texts: AsyncGenerator<string>
  readonly #onEnd: (failure: unknown) => void
  readonly #onGone = (): void => this.end()
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #isOver = false

  constructor({ client, texts }: Pick<WatchRequest, 'client' | 'texts'>, onEnd: (failure: unknown) => void) {
    this.#client = client
    this.#onEnd = onEnd
    this.#texts = texts(this.#stop.signal)
    client.addEventListener('abort', this.#onGone, { once: true })
  }

  response(): Response {
    const source = {
      start: (controller: ReadableStreamDefaultController<Uint8Array>): void => {
        this.#controller = controller
        this.#write(retryText(RETRY_MS))
        if (this.#client.aborted) this.end()
      },
      pull: () => this.#next(),
      cancel: () => void this.#leave(),
    }
    return new Response(new ReadableStream(source, { highWaterMark: 2 }), { headers: HEADERS })
  }

  /** Says that it is alive, unless the client has something to read. */
  beat(): void {
    if ((this.#controller?.desiredSize ?? 0) > 0) this.#write(commentText('alive'))
  }

  /** Ends the answer cleanly. */
  end(): void {
    if (this.#leave()) this.#controller?.close()
  }

  async #next(): Promise<void> {
    try {
      const { done, value } = await this.#texts.next()
      if (this.#isOver) return
      if (done === true) this.end()
      else this.#write(value)
    } catch (thrown) {
      if (this.#leave(thrown)) this.#controller?.error(thrown)
    }
  }

  /** True the first time. */
  #leave(failure?: unknown): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#client.removeEventListener('abort', this.#onGone)
    this.#stop.abort(new Error('The watch has ended.'))
    // What it reads from lets go of it, too; a failure then is nobody's.
    this.#texts.return(undefined).catch(ignore)
    this.#onEnd(failure)
    return true
  }

  #write(text: string): void {
    this.#controller?.enqueue(this.#encoder.encode(text))
  }
}

function ignore(): void {}
