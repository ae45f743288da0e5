import type { OutgoingRecord, RawRecord } from '@millrace/core'
import type { PartitionBounds, ReadLimit, StoredSlice } from '../log/log-backend.ts'
import { recordSize } from '../log/record-size.ts'

/** Records of one partition in the heap. */
export class MemoryPartition {
  #records: RawRecord[] = []
  #start = 0
  #end = 0

  get bounds(): PartitionBounds {
    return { start: this.#start, end: this.#end }
  }

  get records(): readonly RawRecord[] {
    return this.#records
  }

  append(records: readonly OutgoingRecord[]): number {
    const base = this.#end
    for (const { timestamp, key, value, headers } of records) {
      this.#records.push({ offset: this.#end++, timestamp, key, value, headers })
    }
    return base
  }

  read(offset: number, limit: ReadLimit): StoredSlice {
    const first = this.#indexOf(offset)
    let next = first
    let bytes = 0
    for (; next < this.#records.length && next - first < limit.maxRecords; next++) {
      const record = this.#records[next]
      if (record === undefined) break
      const size = recordSize(record)
      if (next > first && bytes + size > limit.maxBytes) break
      bytes += size
    }
    return { records: this.#records.slice(first, next), bytes, nextOffset: this.#records[next]?.offset ?? this.#end }
  }

  /** Keeps the last record of each key, and those without a key; offsets stay. */
  compact(dropTombstones: boolean): void {
    const last = new Map<string, number>()
    for (const { key, offset } of this.#records) if (key !== null) last.set(key.toString('latin1'), offset)
    this.#records = this.#records.filter(
      ({ key, value, offset }) =>
        key === null || (last.get(key.toString('latin1')) === offset && !(dropTombstones && value === null)),
    )
  }

  deleteBefore(offset: number): void {
    this.#start = Math.min(Math.max(offset, this.#start), this.#end)
    this.#records = this.#records.filter((record) => record.offset >= this.#start)
  }

  /** Index of the first record at or after an offset. */
  #indexOf(offset: number): number {
    // Nothing is missing: the index follows from the offset.
    if (this.#records.length === this.#end - this.#start) return offset - this.#start
    let low = 0
    let high = this.#records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#records[middle]?.offset ?? Infinity) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
