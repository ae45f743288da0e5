/** Applies a JSON merge patch (RFC 7396): `null` removes, objects are merged, everything else replaces. */
export function applyPatch(before, patch) {
  if (!isObject(patch)) return patch
  const entries = new Map(isObject(before) ? Object.entries(before) : [])
  for (const [name, change] of Object.entries(patch)) {
    if (change === null) entries.delete(name)
    else entries.set(name, applyPatch(entries.get(name), change))
  }
  return Object.fromEntries(entries)
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
