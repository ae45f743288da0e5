import type { RawHeaders } from '../../contracts/record.ts'

/** The one empty list of headers, so that records without any share it. */
export const NO_HEADERS: RawHeaders = Object.freeze([])
