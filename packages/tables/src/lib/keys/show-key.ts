const LONGEST_SHOWN = 100

/** An encoded key as text for messages: quoted, cut short when it is long. */
export function showKey(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  return JSON.stringify(text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text)
}
