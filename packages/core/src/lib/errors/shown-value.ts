/** A value that was given, for messages: text in quotation marks. */
export function shownValue(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}
