import { MillraceError } from '@millrace/core'
import type { RegistryApi, Schema, SchemaVersion } from './schema.ts'

/**
 * A registry in this process, for tests (`schemaRegistry: 'memory:'`): it has what was registered, and takes every
 * schema.
 */
export class MemoryApi implements RegistryApi {
  readonly url = 'memory:'
  readonly #ids = new Map<string, number>()
  readonly #schemas: Schema[] = []
  readonly #subjects = new Map<string, number[]>()

  async schema(id: number): Promise<Schema> {
    const schema = this.#schemas[id - 1]
    if (schema === undefined) throw new MillraceError('SCHEMA_ID_MISSING', `memory: has no schema ${id}.`)
    return schema
  }

  async idOf(subject: string, schema: Schema): Promise<number> {
    return this.register(subject, schema)
  }

  async register(subject: string, schema: Schema): Promise<number> {
    const content = JSON.stringify([schema.type, schema.text])
    let id = this.#ids.get(content)
    if (id === undefined) {
      id = this.#schemas.push(schema)
      this.#ids.set(content, id)
    }
    const versions = this.#subjects.get(subject) ?? []
    if (!versions.includes(id)) versions.push(id)
    this.#subjects.set(subject, versions)
    return id
  }

  async versions(subject: string): Promise<readonly number[]> {
    return this.#versionsOf(subject).map((_, at) => at + 1)
  }

  async version(subject: string, version: number | 'latest'): Promise<SchemaVersion> {
    const versions = this.#versionsOf(subject)
    const id = version === 'latest' ? versions.at(-1) : versions[version - 1]
    if (id === undefined) throw missing(subject)
    return { id, schema: await this.schema(id) }
  }

  async subjects(): Promise<readonly string[]> {
    return [...this.#subjects.keys()]
  }

  async compatibility(): Promise<string | undefined> {
    return 'NONE'
  }

  async problems(): Promise<readonly string[]> {
    return []
  }

  #versionsOf(subject: string): readonly number[] {
    const versions = this.#subjects.get(subject)
    if (versions === undefined) throw missing(subject)
    return versions
  }
}

function missing(subject: string): MillraceError {
  return new MillraceError('SCHEMA_NOT_REGISTERED', `memory: has no subject "${subject}" with this version.`)
}
