/** `MILLRACE_FIRE=long` runs the tests with the times of real life: a minute's outage, half a minute's block. */
export const isLong: boolean = process.env['MILLRACE_FIRE'] === 'long'

/** The long one in a manual run. */
export function length<T>(times: { readonly short: T; readonly long: T }): T {
  return isLong ? times.long : times.short
}
