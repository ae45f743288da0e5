import type { SchemaType, SchemaVersion } from '../registry/schema.ts'
import { avroTypes } from './avro-types.ts'
import { type DeclaredTypes, nameOf } from './declared-types.ts'

/** The newest schema of a subject. */
export interface NamedSchema extends SchemaVersion {
  readonly subject: string
}

const TYPES: { readonly [Type in SchemaType]?: (schema: NamedSchema['schema'], name: string) => DeclaredTypes } = {
  AVRO: avroTypes,
}

/** A TypeScript module with the types of these schemas. A type of another name than its schema has the name of the subject. */
export function moduleOf(schemas: readonly NamedSchema[]): string {
  const written = new Map<string, string>()
  const parts: string[] = []
  for (const { subject: named, id, schema } of schemas) {
    const subject = onOneLine(named)
    const types = TYPES[schema.type]?.(schema, nameOf(named))
    if (types === undefined) {
      parts.push(`// ${subject}: schema ${id} is of type ${schema.type}, for which no types are written.`)
      continue
    }
    const fresh = types.declarations.filter(({ name, text }) => written.get(name) !== text)
    for (const { name } of fresh) {
      if (!written.has(name)) continue
      // Two schemas of one name: the later one is told apart by its subject.
      parts.push(
        `// ${subject}: schema ${id} has another ${name} than a schema above. Write its types to a file of their own.`,
      )
    }
    const own = fresh.filter(({ name }) => !written.has(name))
    for (const { name, text } of own) written.set(name, text)
    parts.push(`// ${subject}: ${types.main}, schema ${id}`, ...own.map(({ text }) => text))
  }
  return `// Written by millrace schemas types. Do not edit.\n\n${parts.join('\n\n')}\n`
}

/** So that nothing of a subject's name gets out of its comment. */
function onOneLine(subject: string): string {
  return subject.replace(/[\n\r\u2028\u2029]/g, ' ')
}
