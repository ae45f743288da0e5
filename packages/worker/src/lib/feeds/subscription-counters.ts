/** Plain fields, counted up by the loops and read when somebody asks. */
export class SubscriptionCounters {
  received = 0
  processed = 0
  failed = 0
  retried = 0
  active = 0
}
