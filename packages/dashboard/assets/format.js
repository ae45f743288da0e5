const exact = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 })
const time = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const dateTime = new Intl.DateTimeFormat(undefined, {
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})

/** Where the event of a dead letter came from: `posts/1 at 7`, or `timer unpaid of order-7 in reminders`. */
export function letterPlace({ source, due }) {
  if (due !== undefined) {
    const { kind, state, key, window, timer } = due
    const span = window === undefined ? '' : ` ${isoTime(window.start)} to ${isoTime(window.end)}`
    return `${kind}${span}${timer === undefined ? '' : ` ${timer}`} of ${key} in ${state}`
  }
  return source === undefined ? 'unknown place' : `${source.topic}/${source.partition} at ${source.offset}`
}

/** Letters may name any number as a time. */
function isoTime(ms) {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}

/** `12.4k`: three figures at most. */
export function short(number) {
  if (number === undefined || number === null) return '–'
  const size = Math.abs(number)
  for (const [unit, name] of [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ]) {
    if (size < unit * 0.9995) continue
    const scaled = number / unit
    return `${Math.abs(scaled) >= 99.95 ? Math.round(scaled) : scaled.toFixed(1)}${name}`
  }
  return size === 0 || size >= 10 || Number.isInteger(number) ? String(Math.round(number)) : number.toFixed(1)
}

/** With all its digits, for hovering. */
export function full(number) {
  return number === undefined || number === null ? 'not known' : exact.format(number)
}

export function rate(perSecond) {
  return perSecond === undefined ? '–' : `${short(perSecond)}/s`
}

/** `6 µs`, `0.4 ms`, `12 s`, `3 min 20 s`, `2 d 4 h`. */
export function duration(ms) {
  if (ms === undefined || ms === null) return '–'
  if (ms < 1) return ms === 0 ? '0 ms' : ms < 0.1 ? `${Math.max(Math.round(ms * 1000), 1)} µs` : `${ms.toFixed(1)} ms`
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`
}

export function bytes(number) {
  if (number === undefined) return '–'
  if (number < 1000) return `${number} B`
  if (number < 1e6) return `${(number / 1e3).toFixed(1)} kB`
  if (number < 1e9) return `${(number / 1e6).toFixed(1)} MB`
  return `${(number / 1e9).toFixed(1)} GB`
}

/** In the viewer's zone; the date only when it is not today. */
export function when(value) {
  const date = new Date(value)
  return date.toDateString() === new Date().toDateString() ? time.format(date) : dateTime.format(date)
}

/** In another zone; `undefined` when it reads the same there. */
export function whenIn(value, zone) {
  try {
    const there = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', timeZone: zone })
    const here = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })
    const text = there.format(new Date(value))
    return text === here.format(new Date(value)) ? undefined : text
  } catch {
    return undefined
  }
}

export function plural(count, word) {
  return `${full(count)} ${word}${count === 1 ? '' : 's'}`
}
