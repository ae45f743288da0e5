/** A number for a stretch of time, in milliseconds since the epoch. */
export interface Bar {
  readonly start: number
  readonly end: number
  readonly value: number
}

const [WIDTH, HEIGHT] = [720, 160]

/** A page that shows bars over time; without any script. */
export function chartPage(title: string, bars: readonly Bar[]): string {
  const from = bars[0]?.start ?? 0
  const to = bars.at(-1)?.end ?? 1
  const most = Math.max(1, ...bars.map(({ value }) => value))
  const x = (time: number): number => (WIDTH * (time - from)) / (to - from)
  const drawn = bars.map(({ start, end, value }) => {
    const height = (HEIGHT * value) / most
    const place = `x="${x(start)}" y="${HEIGHT - height}" width="${Math.max(x(end) - x(start) - 1, 1)}" height="${height}"`
    return `<rect ${place}><title>${new Date(start).toISOString()}: ${value}</title></rect>`
  })
  const times = bars.length === 0 ? 'No views yet.' : `${new Date(from).toISOString()} – ${new Date(to).toISOString()}`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title>
<style>:root { color-scheme: light dark; font-family: system-ui } svg { width: 100%; max-width: ${WIDTH}px } rect { fill: teal }</style>
<h1>${escaped(title)}</h1>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Views by minute, at most ${most}">${drawn.join('')}</svg>
<p>${times}; at most ${most}.</p>
</html>
`
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
