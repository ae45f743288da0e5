/** A JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/**
 * The changes as a JSON merge patch (RFC 7396): objects list their differences, `null` removes, any other value
 * replaces. `undefined` if nothing changed. Values must not contain `null`, because a patch would remove them.
 */
export function mergePatch(before: Json | undefined, after: Json): Json | undefined {
  if (!isObject(after)) return isSame(before, after) ? undefined : after
  if (!isObject(before)) return after
  const patch: [string, Json][] = []
  for (const name of Object.keys(before)) if (!Object.hasOwn(after, name)) patch.push([name, null])
  for (const [name, value] of Object.entries(after)) {
    const change = mergePatch(Object.hasOwn(before, name) ? before[name] : undefined, value)
    if (change !== undefined) patch.push([name, change])
  }
  return patch.length === 0 ? undefined : Object.fromEntries(patch)
}

function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isSame(before: Json | undefined, after: Json): boolean {
  return before === after || (Array.isArray(after) && JSON.stringify(before) === JSON.stringify(after))
}
