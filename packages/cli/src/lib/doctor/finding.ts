import { isMillraceError, toError } from '@millrace/core'

/** What was looked at, and what came of it. */
export interface Finding {
  /** Of the check; several findings may come from one. */
  readonly name: string
  /** `note`: worth knowing, or not looked at; `wrong`: has to be mended. */
  readonly status: 'ok' | 'note' | 'wrong'
  readonly detail: string
  /** What to do; `null` when there is nothing to do. */
  readonly fix: string | null
}

export function ok(name: string, detail: string): Finding {
  return { name, status: 'ok', detail, fix: null }
}

export function note(name: string, detail: string, fix: string | null = null): Finding {
  return { name, status: 'note', detail, fix }
}

export function wrong(name: string, detail: string, fix: string | null): Finding {
  return { name, status: 'wrong', detail, fix }
}

/** What an error says is wrong. */
export function failed(name: string, thrown: unknown): Finding {
  const error = toError(thrown)
  return isMillraceError(error)
    ? wrong(name, `${error.code}: ${error.detail}`, error.fix ?? null)
    : wrong(name, `${error.name}: ${error.message}`, null)
}
