/** @example taskId(8, 0) // '8-0' */
export function taskId(partitions: number, partition: number): string {
  return `${partitions}-${partition}`
}
