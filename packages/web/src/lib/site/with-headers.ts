/** The answer with more headers; `vary` is added to what is there. */
export function withHeaders(response: Response, more: Readonly<Record<string, string>>): Response {
  const names = Object.keys(more)
  if (names.length === 0) return response
  const headers = new Headers(response.headers)
  for (const [name, value] of Object.entries(more)) {
    if (name === 'vary') headers.append(name, value)
    else headers.set(name, value)
  }
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
}
