/** Those with most changed rows first, until what the others keep is at most so many bytes: few commits free much. */
export function tasksToCut<T extends { readonly dirtyBytes: number }>(
  tasks: readonly T[],
  keepBytes: number,
): readonly T[] {
  const sizes = tasks
    .map((task) => ({ task, bytes: task.dirtyBytes }))
    .filter(({ bytes }) => bytes > 0)
    .toSorted((a, b) => b.bytes - a.bytes)
  let left = sizes.reduce((sum, { bytes }) => sum + bytes, 0)
  const cut: T[] = []
  for (const { task, bytes } of sizes) {
    if (left <= keepBytes) break
    cut.push(task)
    left -= bytes
  }
  return cut
}
