/** Whether the client names this media type among what it wants, by name: a wildcard does not count. */
export function accepts(request: Request, type: string): boolean {
  return qualityOf(request.headers.get('accept') ?? '', type) > 0
}

/** Whether a browser asks for a page rather than a program for JSON. */
export function prefersHtml(request: Request): boolean {
  const accept = request.headers.get('accept') ?? ''
  const html = qualityOf(accept, 'text/html')
  return html > 0 && html >= qualityOf(accept, 'application/json')
}

function qualityOf(accept: string, type: string): number {
  for (const part of accept.split(',')) {
    const [name = '', ...parameters] = part.split(';').map((each) => each.trim().toLowerCase())
    if (name !== type) continue
    const quality = parameters.find((each) => each.startsWith('q='))
    return quality === undefined ? 1 : Number(quality.slice(2)) || 0
  }
  return 0
}
