import { isMillraceError, type RoutedTable } from '@millrace/core'
import { PageError } from '../errors/page-error.ts'

/** As the table has it; a table whose keys cannot be found is a `PageError` 501. */
export function partitionOf(table: RoutedTable, key: Buffer): number | undefined {
  try {
    return table.partitionOf(key)
  } catch (error) {
    if (!isMillraceError(error, 'DEFINITION_INVALID')) throw error
    throw new PageError(501, error.detail, { cause: error })
  }
}
