/**
 * Items by a key, in the order of first appearance.
 *
 * @example
 * grouped(['a1', 'b1', 'a2'], (name) => name[0]) // Map { 'a' => ['a1', 'a2'], 'b' => ['b1'] }
 */
export function grouped<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}
