import { isMillraceError, MillraceError } from '@millrace/core'
import type { SchemaAdmin, SchemaCheck } from '@millrace/core/operations'
import { moduleOf, type NamedSchema } from '../types/type-module.ts'
import type { RegistryCodec } from './registry-codec.ts'
import type { RegistryApi, Schema } from './schema.ts'
import type { SchemaRegistry } from './schema-registry.ts'

/** The registry of an app for the command line. */
export function registryAdmin(registry: SchemaRegistry): SchemaAdmin {
  const api = (): RegistryApi => registry.apiFor(new AbortController().signal)
  return {
    url: () => api().url,
    look: async () => {
      const asked = api()
      const subjects = await asked.subjects()
      return { subjects: subjects.length, compatibility: await asked.compatibility() }
    },
    check: async () => Promise.all(declared(registry).map((each) => checkOf(api(), each))),
    register: async () => {
      const asked = api()
      const done: SchemaCheck[] = []
      for (const each of declared(registry)) done.push(await registered(asked, each))
      return done
    },
    types: async (subjects) => {
      const asked = api()
      const wanted = subjects.length > 0 ? subjects : [...new Set(registry.codecs.map(({ place }) => place.subject))]
      const found: NamedSchema[] = []
      for (const subject of wanted.toSorted()) found.push({ subject, ...(await asked.version(subject, 'latest')) })
      return moduleOf(found)
    },
  }
}

interface Declared {
  readonly subject: string
  readonly codec: RegistryCodec['name']
  readonly schema: Schema
}

/** The schemas in the code, each once for a subject. */
function declared({ codecs }: SchemaRegistry): readonly Declared[] {
  const found = new Map<string, Declared>()
  for (const { name, place, format } of codecs)
    if (format.schema !== undefined)
      found.set(JSON.stringify([place.subject, format.schema.text]), {
        subject: place.subject,
        codec: name,
        schema: format.schema,
      })
  return [...found.values()].toSorted((a, b) => (a.subject < b.subject ? -1 : 1))
}

async function checkOf(api: RegistryApi, { subject, codec, schema }: Declared): Promise<SchemaCheck> {
  const about = { subject, codec, id: undefined, reasons: [] }
  try {
    return { ...about, verdict: 'registered', id: await api.idOf(subject, schema) }
  } catch (error) {
    if (!isMillraceError(error, 'SCHEMA_NOT_REGISTERED')) throw error
  }
  try {
    const reasons = await api.problems(subject, schema)
    return reasons.length === 0 ? { ...about, verdict: 'compatible' } : { ...about, verdict: 'incompatible', reasons }
  } catch (error) {
    if (isMillraceError(error, 'SCHEMA_NOT_REGISTERED')) return { ...about, verdict: 'new' }
    if (isMillraceError(error, 'SCHEMA_INVALID', 'SCHEMA_INCOMPATIBLE'))
      return { ...about, verdict: 'incompatible', reasons: [error.detail] }
    throw error
  }
}

async function registered(api: RegistryApi, { subject, codec, schema }: Declared): Promise<SchemaCheck> {
  const about = { subject, codec, reasons: [] }
  try {
    return { ...about, verdict: 'registered', id: await api.register(subject, schema) }
  } catch (error) {
    if (!isMillraceError(error, 'SCHEMA_INCOMPATIBLE', 'SCHEMA_INVALID')) throw error
    const reasons = error instanceof MillraceError ? [error.detail] : []
    return { ...about, verdict: 'incompatible', id: undefined, reasons }
  }
}
