import type { RawHeaders } from '@millrace/core'

/** Same names, same bytes, same order. */
export function sameHeaders(one: RawHeaders, other: RawHeaders): boolean {
  return (
    one.length === other.length &&
    one.every(([name, value], i) => {
      const [otherName, otherValue] = other[i] ?? []
      if (name !== otherName) return false
      return value === null || otherValue === null || otherValue === undefined
        ? value === otherValue
        : value.equals(otherValue)
    })
  )
}
