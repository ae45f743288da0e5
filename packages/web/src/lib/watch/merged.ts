/** An item, and which of the sources it is from. */
export interface FromSource<T> {
  readonly from: number
  readonly item: T
}

/**
 * The items of several sources as they come, one taken from each at a time. Ends when one of them ends, and rejects when one
 * does; the others are ended then.
 */
export async function* merged<T>(sources: readonly AsyncGenerator<T>[]): AsyncGenerator<FromSource<T>> {
  const nextOf = async (from: number): Promise<{ from: number; result: IteratorResult<T> | undefined }> => ({
    from,
    result: await sources[from]?.next(),
  })
  const pending = new Map(sources.map((_, from) => [from, nextOf(from)]))
  try {
    while (pending.size > 0) {
      const { from, result } = await Promise.race(pending.values())
      if (result === undefined || result.done === true) return
      pending.set(from, nextOf(from))
      yield { from, item: result.value }
    }
  } finally {
    for (const left of pending.values()) left.catch(ignore)
    for (const source of sources) source.return(undefined).catch(ignore)
  }
}

function ignore(): void {}
