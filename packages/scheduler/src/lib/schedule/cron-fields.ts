/** A parsed cron expression, sorted. Months count from 1, weekdays from 0 for Sunday. */
export interface CronFields {
  readonly seconds: readonly number[]
  readonly minutes: readonly number[]
  readonly hours: readonly number[]
  /**
   * The hour field is open (a star, with or without a step, or all 24 hours): such a job runs through both halves of a
   * repeated hour.
   */
  readonly openHour: boolean
  readonly months: readonly number[]
  /** `undefined`: the field is `*` or `?`. */
  readonly days: DaysOfMonth | undefined
  readonly weekdays: DaysOfWeek | undefined
}

export interface DaysOfMonth {
  readonly days: readonly number[]
  /** `L`: the last day, whatever its number. */
  readonly last: boolean
}

export interface DaysOfWeek {
  readonly days: readonly number[]
  /** `5L`: the last Friday. */
  readonly last: readonly number[]
  /** `1#2`: the second Monday; 0 for every one. */
  readonly nth: number
}
