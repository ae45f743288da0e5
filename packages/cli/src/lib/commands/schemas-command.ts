import { writeFile } from 'node:fs/promises'
import { MillraceError } from '@millrace/core'
import type { SchemaAdmin, SchemaCheck } from '@millrace/core/operations'
import { option, positional } from '../arguments/grammar.ts'
import { listOf } from '../arguments/typed-values.ts'
import { cellText, shownText } from '../output/foreign-text.ts'
import { command, type Command, type CommandContext } from './command-context.ts'

/** `schemas check|register|types`: the schemas of the app's codecs and their registry. Needs neither broker nor worker. */
export const schemasCommand: Command = command({
  name: 'schemas',
  describe: 'Check and register the schemas in the code, and write the types of those in the registry',
  options: [
    option('subject', { type: 'list', describe: 'types: the subjects; default: those of the app. Repeat for several' }),
    option('out', { type: 'string', describe: 'types: the file to write; default: the output' }),
  ],
  positionals: [
    positional('action', {
      choices: ['check', 'register', 'types'],
      describe: 'check (exits with 1 if the registry would refuse a schema), register, or types (TypeScript)',
    }),
  ],
  examples: ['schemas check', 'schemas register', 'schemas types --subject orders-value --out orders.ts'],
  run: async (context) => {
    const { app, values } = context
    const [schemas] = app.schemas?.() ?? []
    if (schemas === undefined)
      throw new MillraceError(
        'COMMAND_USAGE',
        `The app "${app.id}" has no codec of a schema registry (avro(…) of @millrace/schema-registry).`,
      )
    if (values['action'] === 'types') return await writeTypes(context, schemas)
    return report(context, await (values['action'] === 'register' ? schemas.register() : schemas.check()))
  },
})

async function writeTypes({ cli, values, json, quiet }: CommandContext, schemas: SchemaAdmin): Promise<number> {
  const text = await schemas.types(listOf(values['subject']))
  const out = values['out']
  if (out === undefined) cli.say(shownText(text.trimEnd()))
  else {
    await writeFile(String(out), text)
    if (json) cli.json({ name: String(out) })
    else if (!quiet) cli.say(`Written: ${String(out)}`)
  }
  return 0
}

function report({ cli, json, quiet }: CommandContext, found: readonly SchemaCheck[]): number {
  const isRefused = found.some(({ verdict }) => verdict === 'incompatible')
  if (json) cli.json(found.map((one) => ({ name: one.subject, ...one })))
  else if (!quiet || isRefused) {
    if (found.length === 0) cli.say('No codec of the app has a schema in the code.')
    else cli.table(found.map((one) => rowOf(one)))
  }
  return isRefused ? 1 : 0
}

function rowOf({ subject, codec, verdict, id, reasons }: SchemaCheck): Readonly<Record<string, unknown>> {
  return {
    subject: cellText(subject),
    codec: cellText(codec),
    verdict: cellText(verdict),
    id: id ?? '',
    why: cellText(reasons.join(' · ')),
  }
}
