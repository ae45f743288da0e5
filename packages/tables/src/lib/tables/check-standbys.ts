import { MillraceError } from '@millrace/core'

/** Throws `DEFINITION_INVALID` for what is no number of copies. */
export function checkStandbys(where: string, standbys: number | undefined): number | undefined {
  if (standbys === undefined || (Number.isInteger(standbys) && standbys >= 0)) return standbys
  throw new MillraceError('DEFINITION_INVALID', `standbys of ${where} is ${standbys}; it takes 0, 1, 2, …`)
}
