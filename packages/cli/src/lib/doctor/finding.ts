import { isMillraceError, toError } from '@millrace/core'

/** The result of one check. */
export interface Finding {
  /** Name of the check; one check may yield several findings. */
  readonly name: string
  /** `note`: worth knowing, or not checked; `wrong`: needs a fix. */
  readonly status: 'ok' | 'note' | 'wrong'
  readonly detail: string
  /** The fix; `null` if none is needed. */
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

/** The fault that an error describes. */
export function failed(name: string, thrown: unknown): Finding {
  const error = toError(thrown)
  return isMillraceError(error)
    ? wrong(name, `${error.code}: ${error.detail}`, error.fix ?? null)
    : wrong(name, `${error.name}: ${error.message}`, null)
}
