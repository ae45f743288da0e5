import { type Clock, errorText, MillraceError, parseRegistryUrl } from '@millrace/core'
import type { ReferencedSchema, RegistryApi, Schema, SchemaType, SchemaVersion } from './schema.ts'

/** How long an answer may take. */
const TIMEOUT_MS = 10_000
/** Longer answers are no schemas. */
const MOST_BYTES = 16 * 1024 * 1024
/** References of references. */
const DEEPEST = 16

/** The part of an answer about a schema that is used. */
interface SchemaAnswer {
  readonly id?: number
  readonly schema: string
  readonly schemaType?: SchemaType
  readonly references?: readonly { readonly name: string; readonly subject: string; readonly version: number }[]
}

/** Confluent's REST API, as Apicurio, Karapace and others have it too. */
export class RestApi implements RegistryApi {
  readonly url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #clock: Pick<Clock, 'schedule'>
  readonly #signal: AbortSignal

  /** Throws `SCHEMA_REGISTRY_URL_INVALID`. */
  constructor(url: string, clock: Pick<Clock, 'schedule'>, signal: AbortSignal) {
    const { base, user, password = '' } = parseRegistryUrl(url)
    this.url = base
    this.#clock = clock
    this.#signal = signal
    const login = Buffer.from(`${user ?? ''}:${password}`).toString('base64')
    this.#headers = {
      accept: 'application/vnd.schemaregistry.v1+json, application/json',
      'content-type': 'application/vnd.schemaregistry.v1+json',
      ...(user === undefined ? {} : { authorization: `Basic ${login}` }),
    }
  }

  async schema(id: number): Promise<Schema> {
    try {
      return await this.#schemaOf(asSchema(await this.#ask('GET', `/schemas/ids/${id}`)))
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'SCHEMA_NOT_REGISTERED') throw error
      throw new MillraceError('SCHEMA_ID_MISSING', `${this.url} has no schema ${id}.`, { cause: error })
    }
  }

  async idOf(subject: string, schema: Schema): Promise<number> {
    return idIn(await this.#ask('POST', subjectPath(subject), bodyOf(schema)))
  }

  async register(subject: string, schema: Schema): Promise<number> {
    return idIn(await this.#ask('POST', `${subjectPath(subject)}/versions`, bodyOf(schema)))
  }

  async versions(subject: string): Promise<readonly number[]> {
    const found = await this.#ask('GET', `${subjectPath(subject)}/versions`)
    return Array.isArray(found) ? found.filter((version): version is number => typeof version === 'number') : []
  }

  async version(subject: string, version: number | 'latest'): Promise<SchemaVersion> {
    const found = asSchema(await this.#ask('GET', `${subjectPath(subject)}/versions/${version}`))
    return { id: idIn(found), schema: await this.#schemaOf(found) }
  }

  async subjects(): Promise<readonly string[]> {
    const found = await this.#ask('GET', '/subjects')
    return Array.isArray(found) ? found.filter((subject): subject is string => typeof subject === 'string') : []
  }

  async compatibility(): Promise<string | undefined> {
    const found = await this.#ask('GET', '/config')
    if (typeof found !== 'object' || found === null) return undefined
    const level: unknown = Reflect.get(found, 'compatibilityLevel') ?? Reflect.get(found, 'compatibility')
    return typeof level === 'string' ? level : undefined
  }

  async problems(subject: string, schema: Schema): Promise<readonly string[]> {
    const path = `/compatibility${subjectPath(subject)}/versions/latest?verbose=true`
    const found = await this.#ask('POST', path, bodyOf(schema))
    if (typeof found !== 'object' || found === null) throw this.#unreachable('POST', path, 'no verdict')
    if (Reflect.get(found, 'is_compatible') === true) return []
    const messages: unknown = Reflect.get(found, 'messages')
    const texts = Array.isArray(messages) ? messages.map(String) : []
    return texts.length === 0 ? ['the registry gives no reason'] : texts
  }

  async #schemaOf({ schema, schemaType = 'AVRO', references = [] }: SchemaAnswer): Promise<Schema> {
    const found = new Map<string, ReferencedSchema>()
    await this.#follow(references, found, 0)
    return { type: schemaType, text: schema, references: [...found.values()] }
  }

  async #follow(
    references: NonNullable<SchemaAnswer['references']>,
    found: Map<string, ReferencedSchema>,
    depth: number,
  ): Promise<void> {
    for (const { name, subject, version } of references) {
      if (found.has(name)) continue
      if (depth > DEEPEST) throw new MillraceError('SCHEMA_INVALID', `References of schema "${subject}" have no end.`)
      const answer = asSchema(await this.#ask('GET', `${subjectPath(subject)}/versions/${version}`))
      await this.#follow(answer.references ?? [], found, depth + 1)
      found.set(name, { name, text: answer.schema })
    }
  }

  async #ask(method: 'GET' | 'POST', path: string, body?: object): Promise<unknown> {
    const limit = new AbortController()
    const timer = this.#clock.schedule(TIMEOUT_MS, () =>
      limit.abort(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)),
    )
    try {
      const answer = await fetch(`${this.url}${path}`, {
        method,
        headers: this.#headers,
        signal: AbortSignal.any([limit.signal, this.#signal]),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await textOf(answer)
      if (answer.ok) return JSON.parse(text)
      throw this.#refusal(method, path, answer.status, text)
    } catch (thrown) {
      if (thrown instanceof MillraceError) throw thrown
      this.#signal.throwIfAborted()
      throw this.#unreachable(method, path, reasonOf(thrown), thrown)
    } finally {
      timer.cancel()
    }
  }

  #refusal(method: string, path: string, status: number, text: string): MillraceError {
    const { code, message } = errorIn(text)
    const said = `${method} ${this.url}${path}: ${status}${message === undefined ? '' : `, ${message}`}`
    // Only a registry has these numbers: another server's 404 says nothing about schemas.
    if (status === 404 && code !== undefined && code > 40_400) return new MillraceError('SCHEMA_NOT_REGISTERED', said)
    if (status === 401 || status === 403) return new MillraceError('SCHEMA_REGISTRY_REFUSED', said)
    if (status === 409) return new MillraceError('SCHEMA_INCOMPATIBLE', said)
    if (status === 422 || status === 400) return new MillraceError('SCHEMA_INVALID', said)
    return new MillraceError('SCHEMA_REGISTRY_UNREACHABLE', said)
  }

  #unreachable(method: string, path: string, why: string, cause?: unknown): MillraceError {
    return new MillraceError('SCHEMA_REGISTRY_UNREACHABLE', `${method} ${this.url}${path}: ${why}.`, { cause })
  }
}

function subjectPath(subject: string): string {
  return `/subjects/${encodeURIComponent(subject)}`
}

function bodyOf({ type, text }: Schema): object {
  return type === 'AVRO' ? { schema: text } : { schema: text, schemaType: type }
}

function asSchema(answer: unknown): SchemaAnswer {
  if (typeof answer === 'object' && answer !== null && 'schema' in answer && typeof answer.schema === 'string')
    return answer as SchemaAnswer
  throw new MillraceError('SCHEMA_REGISTRY_UNREACHABLE', 'The answer has no schema.')
}

function idIn(answer: unknown): number {
  if (typeof answer === 'object' && answer !== null && 'id' in answer && typeof answer.id === 'number') return answer.id
  throw new MillraceError('SCHEMA_REGISTRY_UNREACHABLE', 'The answer has no id of a schema.')
}

function errorIn(text: string): { readonly code: number | undefined; readonly message: string | undefined } {
  try {
    const { error_code: code, message } = JSON.parse(text)
    return {
      code: typeof code === 'number' ? code : undefined,
      message: typeof message === 'string' ? message.slice(0, 2000) : undefined,
    }
  } catch {
    // The answer of a proxy, or of another server.
    return { code: undefined, message: undefined }
  }
}

async function textOf(answer: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of answer.body ?? []) {
    bytes += part.byteLength
    if (bytes > MOST_BYTES) throw new Error(`an answer of more than ${MOST_BYTES} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** The reason is in the cause of what `fetch` throws. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown
  const text = errorText(cause)
  if (text !== '') return text
  return typeof cause === 'object' && cause !== null && 'code' in cause ? String(cause.code) : 'no answer'
}
