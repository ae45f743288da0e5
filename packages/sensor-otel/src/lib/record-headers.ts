import { type Context, diag, propagation, ROOT_CONTEXT, type TextMapGetter } from '@opentelemetry/api'
import { headerNamed, type RawHeaders } from '@millrace/core'

/** W3C names, as in HTTP. */
export const PARENT = 'traceparent'
const STATE = 'tracestate'

/** The last header with a name wins, as it does for users. */
const RECORD: TextMapGetter<RawHeaders> = {
  keys: (headers) => headers.map(([name]) => name),
  get: headerNamed,
}

const REQUEST: TextMapGetter<Headers> = {
  keys: (headers) => [...headers.keys()],
  get: (headers, name) => headers.get(name) ?? undefined,
}

/** The context that a record carries; the root context if it has none or an unreadable one. */
export function contextOfRecord(headers: RawHeaders): Context {
  return headers.length === 0 ? ROOT_CONTEXT : extract(headers, RECORD)
}

export function contextOfRequest(headers: Headers): Context {
  return extract(headers, REQUEST)
}

/** A header from elsewhere must not fail an event, even if the propagator throws on it. */
function extract<C>(carrier: C, getter: TextMapGetter<C>): Context {
  try {
    return propagation.extract(ROOT_CONTEXT, carrier, getter)
  } catch (error) {
    diag.warn('A trace context that came with a record or a request could not be read.', error)
    return ROOT_CONTEXT
  }
}

/** The headers that carry the context; none if there is nothing to propagate. */
export function injected(context: Context): Readonly<Record<string, string>> {
  const carrier: Record<string, string> = {}
  try {
    propagation.inject(context, carrier)
    return carrier
  } catch (error) {
    diag.warn('A trace context could not be written into headers.', error)
    return {}
  }
}

/** The record's headers, with the context in place of an earlier one. */
export function withContext(headers: RawHeaders, context: Context): RawHeaders {
  const carrier = injected(context)
  const names = Object.keys(carrier)
  if (names.length === 0) return headers
  const isReplaced = (name: string): boolean => name in carrier || (name === STATE && PARENT in carrier)
  const kept = headers.some(([name]) => isReplaced(name)) ? headers.filter(([name]) => !isReplaced(name)) : headers
  return [...kept, ...Object.entries(carrier).map(([name, value]) => [name, Buffer.from(value, 'utf8')] as const)]
}
