/**
 * A URL for errors and logs: who logs in, and with what, is left out, and so is a query. All up to the last `@` goes,
 * since a password that is not encoded may hold any character.
 *
 * @example
 * redactUrl('kafka://me:secret@a:9092,b:9092') // 'kafka://***@a:9092,b:9092'
 */
export function redactUrl(text: string): string {
  const scheme = /^\s*[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? ''
  const rest = text.slice(scheme.length)
  const at = rest.lastIndexOf('@')
  const shown = at < 0 ? rest : `***${rest.slice(at)}`
  return `${scheme}${shown.replace(/\?.*$/s, '?***')}`
}
