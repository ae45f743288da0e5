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
