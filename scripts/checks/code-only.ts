/** Source code split by what a rule may look at. Each keeps every line where it was, and blanks what is not its own. */
export interface CodeText {
  /** Without comments, template strings and regular expressions. Plain strings stay: imports are made of them. */
  readonly code: string
  /** As `code`, without the plain strings. */
  readonly bare: string
  /** The comments alone. */
  readonly comments: string
}

type Kind = 'code' | 'string' | 'comment' | 'hidden'

/** What may stand before a regular expression rather than a division. */
const BEFORE_PATTERN = /(?:^|[(,=:[!&|?{};<>+\-*%~^]|\b(?:return|typeof|case|in|of|do|else|void|await|yield))\s*$/

/** Takes comments, template strings and regular expressions out, so that rules by text see code only. */
export function codeOnly(text: string): CodeText {
  const kinds = mark(text)
  const pick = (...wanted: readonly Kind[]): string =>
    kinds
      .map(({ start, end, kind }) => (wanted.includes(kind) ? text.slice(start, end) : blank(text.slice(start, end))))
      .join('')
  return { code: pick('code', 'string'), bare: pick('code'), comments: pick('comment') }
}

interface Span {
  readonly start: number
  readonly end: number
  readonly kind: Kind
}

/** Divides the text into spans. Nested templates are followed by a stack of open braces. */
function mark(text: string): readonly Span[] {
  const spans: Span[] = []
  // For each template that is open: how many braces are open within its `${`.
  const templates: number[] = []
  let start = 0
  let at = 0
  const take = (kind: Kind, end: number): void => {
    if (end > start) spans.push({ start, end, kind })
    start = end
    at = end
  }
  const hide = (kind: Kind, end: number): void => {
    take('code', at)
    take(kind, end)
  }
  const hideTemplatePart = (from: number): void => {
    const part = /(?:\\[^]|\$(?!\{)|[^\\`$])*(`|\$\{|$)/y
    part.lastIndex = from
    const found = part.exec(text)
    hide('hidden', found === null ? text.length : part.lastIndex)
    if (found?.[1] === '${') templates.push(0)
  }
  while (at < text.length) {
    const character = text[at]
    const pair = text.slice(at, at + 2)
    if (pair === '//') hide('comment', endOf(/[^\n]*/y, text, at))
    else if (pair === '/*') hide('comment', endOf(/[^]*?(?:\*\/|$)/y, text, at))
    else if (character === "'" || character === '"')
      hide('string', endOf(character === "'" ? /'(?:\\[^]|[^\\'\n])*'?/y : /"(?:\\[^]|[^\\"\n])*"?/y, text, at))
    else if (character === '`') hideTemplatePart(at + 1)
    else if (character === '/' && BEFORE_PATTERN.test(text.slice(Math.max(0, at - 40), at))) {
      hide('hidden', endOf(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/\w*|\//y, text, at))
    } else {
      const open = templates.at(-1)
      if (open !== undefined && character === '{') templates[templates.length - 1] = open + 1
      if (open !== undefined && character === '}') {
        if (open === 0) {
          templates.pop()
          hideTemplatePart(at + 1)
          continue
        }
        templates[templates.length - 1] = open - 1
      }
      at += 1
    }
  }
  take('code', text.length)
  return spans
}

function endOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at
  return pattern.exec(text) === null ? at + 1 : Math.max(pattern.lastIndex, at + 1)
}

function blank(text: string): string {
  return text.replaceAll(/[^\n]/g, ' ')
}

/** Line number, from 1, of a position. */
export function lineAt(text: string, position: number): number {
  return text.slice(0, position).split('\n').length
}
