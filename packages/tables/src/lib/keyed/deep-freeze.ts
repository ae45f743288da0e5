/**
 * Freezes a value with everything in it, so that a change in place throws instead of altering state behind the
 * changelog's back. Typed arrays cannot be frozen and are left as they are.
 */
export function deepFreeze<V>(value: V): V {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value) && !ArrayBuffer.isView(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}
