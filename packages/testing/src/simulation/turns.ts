/** Waits for turns of the event loop: after a few of them, what goes on by itself has gone on. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
