import { type Context, diag, propagation, ROOT_CONTEXT, type TextMapGetter } from '@opentelemetry/api'
import { headerNamed, type RawHeaders } from '@millrace/core'

/** W3C, as in HTTP. */
export const PARENT = 'traceparent'
const STATE = 'tracestate'

/** The last header of a name wins, as it does for users. */
const RECORD: TextMapGetter<RawHeaders> = {
  keys: (headers) => headers.map(([name]) => name),
  get: headerNamed,
}

const REQUEST: TextMapGetter<Headers> = {
  keys: (headers) => [...headers.keys()],
  get: (headers, name) => headers.get(name) ?? undefined,
}

/** The context that a record has come with: the root where it has none that can be read. */
export function contextOfRecord(headers: RawHeaders): Context {
  return headers.length === 0 ? ROOT_CONTEXT : extract(headers, RECORD)
}

export function contextOfRequest(headers: Headers): Context {
  return extract(headers, REQUEST)
}

/** What somebody else has written must not fail an event, whatever the propagator makes of it. */
function extract<C>(carrier: C, getter: TextMapGetter<C>): Context {
  try {
    return propagation.extract(ROOT_CONTEXT, carrier, getter)
  } catch (error) {
    diag.warn('A trace context that came with a record or a request could not be read.', error)
    return ROOT_CONTEXT
  }
}

/** The headers by which the context goes on; none where nothing is to be passed on. */
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

/** The headers of a record with the context in place of the one that they may have. */
export function withContext(headers: RawHeaders, context: Context): RawHeaders {
  const carrier = injected(context)
  const names = Object.keys(carrier)
  if (names.length === 0) return headers
  const isReplaced = (name: string): boolean => name in carrier || (name === STATE && PARENT in carrier)
  const kept = headers.some(([name]) => isReplaced(name)) ? headers.filter(([name]) => !isReplaced(name)) : headers
  return [...kept, ...Object.entries(carrier).map(([name, value]) => [name, Buffer.from(value, 'utf8')] as const)]
}
