/**
 * What has been restored of one table, and in what time. Partitions are restored side by side, so time counts once for
 * all of them: while at least one is on its way.
 */
export class RestoreTotals {
  #restored = 0
  #activeMs = 0
  #underWay = 0
  #sinceMs = 0

  /** Rows of partitions that are complete. */
  get restored(): number {
    return this.#restored
  }

  begin(nowMs: number): void {
    if (this.#underWay++ === 0) this.#sinceMs = nowMs
  }

  /** A partition is complete, or lost on the way: then with 0 rows. */
  end(nowMs: number, restored: number): void {
    this.#restored += restored
    if (--this.#underWay === 0) this.#activeMs += nowMs - this.#sinceMs
  }

  activeMs(nowMs: number): number {
    return this.#activeMs + (this.#underWay > 0 ? nowMs - this.#sinceMs : 0)
  }
}
