/** What one partition of an ordered group has to give. Arrivals number the batches that have come to the group. */
export interface OrderedMember {
  /** The time of its next record; `undefined` when no record is here. */
  readonly time: number | undefined
  /** The arrivals when that record became known. */
  readonly since: number
  /** Without a record here: the arrivals at which the broker had none either; -1 when that is not known. */
  readonly emptySince: number
  /** At equal times, the lower rank goes first. */
  readonly rank: number
  /** Some of its events have not finished. */
  readonly isInFlight: boolean
}

export interface NextByTime<M> {
  /** The member with the earliest record; `undefined` when no member has a record. */
  readonly earliest: M | undefined
  /** The other members that have events in flight: the earliest record waits until these have finished. */
  readonly inFlight: readonly M[]
  /** The other members that may still receive an earlier record: the earliest record waits until that is known. */
  readonly unknown: readonly M[]
}

/** Which member of an ordered group hands out the next record, and what it has to wait for. */
export function nextByTime<M extends OrderedMember>(members: readonly M[]): NextByTime<M> {
  let earliest: M | undefined
  for (const member of members) if (goesBefore(member, earliest)) earliest = member
  if (earliest === undefined) return { earliest, inFlight: [], unknown: [] }
  const { since } = earliest
  const others = members.filter((member) => member !== earliest)
  return {
    earliest,
    inFlight: others.filter(({ isInFlight }) => isInFlight),
    unknown: others.filter(({ time, emptySince }) => time === undefined && emptySince < since),
  }
}

function goesBefore({ time, rank }: OrderedMember, other: OrderedMember | undefined): boolean {
  if (time === undefined) return false
  if (other?.time === undefined) return true
  return time < other.time || (time === other.time && rank < other.rank)
}
