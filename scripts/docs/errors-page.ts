import { errorTable, type ErrorEntry } from '@millrace/core'
import { markdownTable } from './markdown-table.ts'

/** `docs/reference/errors.md`: every error code, what it means and what to do. */
export function errorsPage(): string {
  const rows = Object.entries<ErrorEntry>(errorTable).map(
    ([code, { title, fix = 'The message or the cause says.' }]) => [
      `<a id="${code}"></a>\`${code}\``,
      `${title}.`,
      fix,
    ],
  )
  return `# Errors

Generated from \`packages/core/src/lib/errors/error-table.ts\`; run \`node --import tsx scripts/generate-docs.ts\` after a change there.

Millrace throws \`MillraceError\`s. Each has a stable \`code\`, a \`detail\` that names the setting, topic, table, partition or key, mostly a \`fix\`, and where
another error lies behind it, its \`cause\`. Tell them apart with \`isMillraceError(error, 'CODE')\`. Its \`docs\` is the address of its line here.

${markdownTable(['Code', 'What it means', 'What to do'], rows)}`
}
