import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

/** Unique per process and run, and readable: `{host}-{pid}-{random}`. */
export function makeWorkerId(): string {
  return `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`
}
