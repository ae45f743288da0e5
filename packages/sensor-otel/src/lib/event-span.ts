import { type Context, type Span, SpanStatusCode } from '@opentelemetry/api'
import {
  headerNamed,
  errorText,
  type EventEnd,
  type EventTrace,
  isMillraceError,
  type RawHeaders,
  redactText,
  toError,
} from '@millrace/core'
import { PARENT } from './record-headers.ts'

/** The span of an event, or of a whole batch once other events end with it. */
export class EventSpan implements EventTrace {
  readonly span: Span
  /** Runs with the span as the active one. */
  readonly context: Context
  readonly #headers: RawHeaders
  /** Adds events that end with this one. */
  readonly #members: EventSpan[] = []
  #ended = false

  constructor(span: Span, context: Context, headers: RawHeaders) {
    this.span = span
    this.context = context
    this.#headers = headers
  }

  get isRecording(): boolean {
    return this.span.isRecording()
  }

  /** Whether the event arrived with this `traceparent`, rather than its handler having set it. */
  cameWith(parent: string): boolean {
    return headerNamed(this.#headers, PARENT) === parent || this.#members.some((member) => member.cameWith(parent))
  }

  /**
   * The batch continues in its first sampled span: its trace does not end here, and the spans of the other events link
   * to it.
   */
  join(other: EventTrace | undefined): EventSpan {
    if (!(other instanceof EventSpan)) return this
    if (!this.isRecording && other.isRecording) return other.join(this)
    this.#members.push(other)
    if (!this.isRecording) return this
    this.span.addLink({ context: other.span.spanContext() })
    other.span.addLink({ context: this.span.spanContext() })
    this.span.setAttribute('messaging.batch.message_count', this.#count)
    return this
  }

  failed(thrown: Error): void {
    if (this.isRecording) markFailed(this.span, thrown)
    for (const member of this.#members) member.failed(thrown)
  }

  changed(rows: ReadonlyMap<string, number>): void {
    for (const [table, count] of rows)
      this.span.addEvent('millrace.table.change', { 'millrace.table': table, 'millrace.rows': count })
  }

  end(as: EventEnd): void {
    if (this.#ended) return
    this.#ended = true
    if (this.isRecording) this.span.setAttribute('millrace.outcome', as)
    this.span.end()
    for (const member of this.#members) member.end(as)
  }

  get #count(): number {
    return this.#members.reduce((sum, member) => sum + member.#count, 1)
  }
}

/** The span shows the error, with secrets redacted. */
export function markFailed(span: Span, thrown: unknown): void {
  const error = toError(thrown)
  const { name, message, stack = '' } = error
  span.recordException({ name, message: redactText(message), stack: redactText(stack) })
  span.setStatus({ code: SpanStatusCode.ERROR, message: redactText(errorText(error)) })
  span.setAttribute('error.type', isMillraceError(error) ? error.code : error.name)
}
