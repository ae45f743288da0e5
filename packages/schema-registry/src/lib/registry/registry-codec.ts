import { type Codec, CodecWaitsError, isMillraceError, MillraceError } from '@millrace/core'
import { HEADER_BYTES, type ReadValue, type SchemaFormat, type WriteValue } from '../formats/schema-format.ts'
import type { SchemaRegistry } from './schema-registry.ts'
import type { Schema, SchemaVersion } from './schema.ts'

/** What a codec is for. */
export interface CodecPlace {
  readonly subject: string
  readonly canonical: boolean
  readonly isWritten: boolean
  readonly register: boolean
}

/** How long it is believed that a schema is not registered. */
const BELIEVED_MS = 10_000
/** Older versions are loaded when a record needs them. */
const MOST_VERSIONS = 100
/** Versions that are asked for at a time. */
const AT_A_TIME = 8

/**
 * The codec of the keys or values of one topic. `prepare` asks the registry for all that can be known before a record;
 * after it, encoding waits for nothing, and decoding only for schemas that are new.
 */
export class RegistryCodec implements Codec<unknown> {
  readonly name: string
  readonly format: SchemaFormat
  readonly place: CodecPlace
  readonly #registry: SchemaRegistry
  readonly #readers = new Map<number, ReadValue>()
  readonly #broken = new Map<number, MillraceError>()
  #reader: Schema | undefined
  #write: WriteValue | undefined
  #id = 0
  #unwritable: MillraceError | undefined
  #askedMs = -Infinity
  /** The schema of the last record, which is mostly that of the next one. */
  #lastId = -1
  #lastRead: ReadValue | undefined

  constructor(registry: SchemaRegistry, format: SchemaFormat, place: CodecPlace) {
    this.#registry = registry
    this.format = format
    this.name = format.codec
    this.place = place
    this.#reader = format.schema
  }

  /** Rejects with what makes the codec unusable. */
  async prepare(): Promise<void> {
    await this.#loadVersions()
    const { schema } = this.format
    if (schema === undefined) return this.#use(await this.#latest())
    try {
      await this.#findId(schema)
    } catch (error) {
      if (!isMillraceError(error, 'SCHEMA_NOT_REGISTERED') || this.place.isWritten || this.place.register) throw error
      // An app that only reads need not have its schema registered.
    }
  }

  encode(value: unknown): Buffer {
    const write = this.#write
    if (write === undefined) throw this.#cannotWrite()
    const bytes = write(value)
    bytes[0] = 0
    bytes.writeUInt32BE(this.#id, 1)
    return bytes
  }

  encodeText(text: string): Buffer {
    return this.encode(JSON.parse(text))
  }

  decode(bytes: Buffer): unknown {
    const id = idOf(bytes)
    const read = id === this.#lastId && this.#lastRead !== undefined ? this.#lastRead : this.#readerOf(id)
    return read(bytes)
  }

  missing(bytes: Buffer): Promise<void> | undefined {
    // What is no record of the registry is an error of decoding.
    if (bytes.length < HEADER_BYTES || bytes[0] !== 0) return undefined
    const id = bytes.readUInt32BE(1)
    if (id === this.#lastId || this.#readers.has(id) || this.#registry.known(id) !== undefined) return undefined
    return this.#registry.load(id)
  }

  #readerOf(id: number): ReadValue {
    const read = this.#readers.get(id) ?? this.#makeReader(id)
    this.#lastId = id
    this.#lastRead = read
    return read
  }

  #makeReader(id: number): ReadValue {
    const broken = this.#broken.get(id)
    if (broken !== undefined) throw broken
    const writer = this.#registry.known(id)
    if (writer instanceof MillraceError) throw writer
    if (writer === undefined || this.#reader === undefined)
      throw new CodecWaitsError(`Schema ${id} is not here yet.`, this.#registry.load(id))
    try {
      if (writer.type !== this.format.type)
        throw new MillraceError(
          'SCHEMA_INCOMPATIBLE',
          `The record has a schema of type ${writer.type}, and the codec is ${this.name}.`,
        )
      const read = this.format.reader(writer, this.#reader)
      this.#readers.set(id, read)
      return read
    } catch (thrown) {
      if (!isMillraceError(thrown)) throw thrown
      const error = new MillraceError(thrown.code, `Schema ${id}: ${thrown.detail}`, { cause: thrown.cause })
      this.#broken.set(id, error)
      throw error
    }
  }

  /** Those of tables and of topics that were written for long: rows and records may have any of them. */
  async #loadVersions(): Promise<void> {
    const { api } = this.#registry
    const { subject } = this.place
    const versions = await this.#registry.ask(async () => {
      try {
        return await api.versions(subject)
      } catch (error) {
        if (isMillraceError(error, 'SCHEMA_NOT_REGISTERED')) return []
        throw error
      }
    })
    const newest = versions.slice(-MOST_VERSIONS)
    for (let at = 0; at < newest.length; at += AT_A_TIME)
      await Promise.all(newest.slice(at, at + AT_A_TIME).map((version) => this.#loadVersion(version)))
  }

  async #loadVersion(version: number): Promise<void> {
    try {
      const { id, schema } = await this.#registry.ask(() => this.#registry.api.version(this.place.subject, version))
      this.#registry.keep(id, schema)
    } catch (error) {
      // One that was deleted since, or that cannot be used, matters only to records that have it.
      if (!isMillraceError(error, 'SCHEMA_NOT_REGISTERED', 'SCHEMA_INVALID')) throw error
    }
  }

  async #latest(): Promise<SchemaVersion> {
    return this.#registry.ask(() => this.#registry.api.version(this.place.subject, 'latest'))
  }

  #use({ id, schema }: SchemaVersion): void {
    this.#reader = schema
    this.#registry.keep(id, schema)
    this.#writeWith(id, schema)
  }

  async #findId(schema: Schema): Promise<void> {
    const { api } = this.#registry
    const { subject, register } = this.place
    this.#askedMs = this.#registry.nowMs()
    try {
      const id = await this.#registry.ask(() => (register ? api.register(subject, schema) : api.idOf(subject, schema)))
      this.#registry.keep(id, schema)
      this.#writeWith(id, schema)
    } catch (thrown) {
      if (!isMillraceError(thrown)) throw thrown
      const what = `The ${this.name} schema in the code, subject "${subject}"`
      const error = new MillraceError(thrown.code, `${what}: ${thrown.detail}`, { cause: thrown.cause })
      this.#unwritable = error
      throw error
    }
  }

  #writeWith(id: number, schema: Schema): void {
    this.#write = this.format.writer(schema, this.place.canonical)
    this.#id = id
    this.#unwritable = undefined
  }

  /** It may be registered any time, so the registry is asked again now and then. */
  #cannotWrite(): MillraceError {
    const { schema } = this.format
    const error = this.#unwritable
    if (error === undefined)
      return new MillraceError(
        'CODEC_WAITS',
        `The ${this.name} codec of subject "${this.place.subject}" has not asked the registry yet.`,
      )
    if (schema !== undefined && this.#registry.nowMs() - this.#askedMs > BELIEVED_MS)
      this.#findId(schema).catch(() => {
        // The next value that is encoded gets the error.
      })
    return error
  }
}

function idOf(bytes: Buffer): number {
  if (bytes.length < HEADER_BYTES || bytes[0] !== 0)
    throw new TypeError('The bytes do not begin with a zero and the id of a schema, as those of a registry do.')
  return bytes.readUInt32BE(1)
}
