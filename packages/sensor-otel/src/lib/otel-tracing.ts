import {
  type Attributes,
  type Context,
  context,
  createContextKey,
  diag,
  INVALID_SPAN_CONTEXT,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  trace,
  TraceFlags,
} from '@opentelemetry/api'
import {
  headerNamed,
  type EventTrace,
  type RawHeaders,
  type SendTrace,
  type TracedEvent,
  type TracedForward,
  type TracedJob,
  type TracedSend,
  type Tracing,
} from '@millrace/core'
import { EventContexts } from './event-contexts.ts'
import { EventSpan, markFailed } from './event-span.ts'
import { MessagingSpans } from './messaging-spans.ts'
import { contextOfRecord, contextOfRequest, injected, PARENT, withContext } from './record-headers.ts'

/** The key that `suppressTracing` of `@opentelemetry/core` uses: keys with the same description are equal. */
const SUPPRESSED = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')

/** Other methods become `_OTHER`: a client must not be able to create span names. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Creates spans of the workers' activities with the tracer registered with the API. */
export class OtelTracing implements Tracing {
  readonly contextManager: EventContexts = new EventContexts(() => this.#current())
  readonly #tracer = trace.getTracer('@millrace/sensor-otel')
  readonly #begun = new MessagingSpans()
  /** One of each app. */
  readonly #currents: (() => EventTrace | undefined)[] = []

  attach(current: () => EventTrace | undefined): void {
    this.#currents.push(current)
  }

  eventStarted(event: TracedEvent): EventSpan {
    const parent = contextOfRecord(event.headers)
    const { name, options } = this.#begun.process(event)
    const span = this.#start(name, options, parent)
    if (span.isRecording()) {
      if (!event.isChannel) span.setAttribute('kafka.offset', event.offset)
      if (event.attempts > 0) span.setAttribute('millrace.attempts', event.attempts)
    }
    return new EventSpan(span, trace.setSpan(parent, span), event.headers)
  }

  sendStarted(send: TracedSend): SendTrace {
    const { headers, from, partition } = send
    const event = from instanceof EventSpan ? from : this.#current()
    const own = headerNamed(headers, PARENT)
    // A send with an explicit context already has a span.
    if (own !== undefined && event?.cameWith(own) !== true) return { headers, end: ignored }
    const parent = from instanceof EventSpan ? from.context : this.#active(event)
    const { name, options } = this.#begun.send(send)
    const span = this.#start(name, options, parent)
    if (partition !== undefined && span.isRecording())
      span.setAttribute('messaging.destination.partition.id', String(partition))
    return new SendSpan(span, withContext(headers, trace.setSpan(parent, span)))
  }

  job<R>({ name, kind, slot, app, worker }: TracedJob, work: () => R | Promise<R>): Promise<R> {
    const attributes: Attributes = {
      'millrace.app': app,
      'millrace.job': name,
      'millrace.job.kind': kind,
      'millrace.job.slot': slot.toISOString(),
      'messaging.client.id': worker,
    }
    const span = this.#start(`run ${name}`, { kind: SpanKind.INTERNAL, attributes }, ROOT_CONTEXT)
    return within(span, trace.setSpan(ROOT_CONTEXT, span), async () => work())
  }

  /** HTTP instrumentation already has a span for the request: set the page on that one instead of creating a second. */
  request(request: Request, work: (routed: (path: string) => void) => Promise<Response>): Promise<Response> {
    const outer = trace.getSpan(context.active())
    if (outer !== undefined && isUnderWay(outer)) return work((path) => void outer.setAttribute('http.route', path))
    const parent = contextOfRequest(request.headers)
    const { hostname, port, pathname, protocol } = new URL(request.url)
    const method = METHODS.has(request.method) ? request.method : '_OTHER'
    const attributes: Attributes = {
      'http.request.method': method,
      'url.path': pathname,
      'url.scheme': protocol.slice(0, -1),
      'server.address': hostname,
    }
    if (port !== '') attributes['server.port'] = Number(port)
    const shown = method === '_OTHER' ? 'HTTP' : method
    const span = this.#start(shown, { kind: SpanKind.SERVER, attributes }, parent)
    return within(span, trace.setSpan(parent, span), async () => {
      const response = await work((path) => {
        span.setAttribute('http.route', path)
        span.updateName(`${shown} ${path}`)
      })
      span.setAttribute('http.response.status_code', response.status)
      if (response.status >= 500) markStatus(span, response.status)
      return response
    })
  }

  forward<R extends { readonly status: number }>(
    { method, address }: TracedForward,
    work: (headers: Readonly<Record<string, string>>) => Promise<R>,
  ): Promise<R> {
    const parent = this.#active(this.#current())
    const attributes: Attributes = { 'http.request.method': method, 'server.address': address }
    const span = this.#start(method, { kind: SpanKind.CLIENT, attributes }, parent)
    const inSpan = trace.setSpan(parent, span)
    // Suppresses the instrumentation of undici, which would add a second span and a second header.
    return within(span, inSpan.setValue(SUPPRESSED, true), async () => {
      const response = await work(injected(inSpan))
      span.setAttribute('http.response.status_code', response.status)
      if (response.status >= 400) markStatus(span, response.status)
      return response
    })
  }

  /** A throwing sampler or processor of the user must not fail the event that it observes. */
  #start(name: string, options: SpanOptions, parent: Context): Span {
    try {
      return this.#tracer.startSpan(name, options, parent)
    } catch (error) {
      diag.error(`A span "${name}" could not be started.`, error)
      return trace.wrapSpanContext(trace.getSpanContext(parent) ?? INVALID_SPAN_CONTEXT)
    }
  }

  #current(): EventSpan | undefined {
    for (const current of this.#currents) {
      const found = current()
      if (found instanceof EventSpan) return found
    }
    return undefined
  }

  /** Under another context manager a handler does not run in its event's context, but its sends still belong there. */
  #active(event: EventSpan | undefined): Context {
    return event === undefined || this.contextManager.enabled ? context.active() : event.context
  }
}

class SendSpan implements SendTrace {
  readonly headers: RawHeaders
  readonly #span: Span

  constructor(span: Span, headers: RawHeaders) {
    this.#span = span
    this.headers = headers
  }

  end(error?: unknown): void {
    if (error !== undefined) markFailed(this.#span, error)
    this.#span.end()
  }
}

/** A send with an explicit context has its own span. */
function ignored(): void {}

/** Runs `work` in the context, and ends the span afterwards. */
async function within<R>(span: Span, active: Context, work: () => Promise<R>): Promise<R> {
  try {
    return await context.with(active, work)
  } catch (error) {
    markFailed(span, error)
    throw error
  } finally {
    span.end()
  }
}

/** False for an ended span, such as one that was active when the server started. */
function isUnderWay(span: Span): boolean {
  return span.isRecording() || (span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0
}

function markStatus(span: Span, status: number): void {
  span.setStatus({ code: SpanStatusCode.ERROR })
  span.setAttribute('error.type', String(status))
}
