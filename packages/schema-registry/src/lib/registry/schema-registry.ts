import {
  type CodecEnvironment,
  type CodecSource,
  type CodecSources,
  type CodecUse,
  MillraceError,
  withTimeout,
} from '@millrace/core'
import type { SchemaAdmin } from '@millrace/core/operations'
import type { SchemaFormat } from '../formats/schema-format.ts'
import { MemoryApi } from './memory-api.ts'
import { registryAdmin } from './registry-admin.ts'
import { RegistryCodec } from './registry-codec.ts'
import { RestApi } from './rest-api.ts'
import type { RegistryApi, Schema } from './schema.ts'
import { SchemaLoader } from './schema-loader.ts'
import { type RegistryCodecOptions, subjectOf } from './subjects.ts'

const REGISTRY = Symbol('@millrace/schema-registry')

/** What is open while a worker or client uses the registry. */
interface Connection {
  readonly api: RegistryApi
  readonly loader: SchemaLoader
  readonly abort: AbortController
  readonly prepared: Promise<void>
}

/** The registry of one app, with the codecs that use it. */
export class SchemaRegistry implements CodecSource {
  readonly admin: SchemaAdmin
  readonly #environment: CodecEnvironment
  readonly #codecs: RegistryCodec[] = []
  /** Schemas never change under their ids, so that they stay when the registry is closed. */
  readonly #schemas = new Map<number, Schema>()
  #memory: MemoryApi | undefined
  #connection: Connection | undefined
  #users = 0

  constructor(environment: CodecEnvironment) {
    this.#environment = environment
    this.admin = registryAdmin(this)
  }

  /** That of the app to which `sources` belongs. */
  static of(sources: CodecSources): SchemaRegistry {
    const source = sources(REGISTRY, (environment) => new SchemaRegistry(environment))
    if (source instanceof SchemaRegistry) return source
    throw new MillraceError('DEFINITION_INVALID', 'The app has codecs of two copies of @millrace/schema-registry.')
  }

  get codecs(): readonly RegistryCodec[] {
    return this.#codecs
  }

  /** Throws `DEFINITION_INVALID`, `SCHEMA_INVALID`. */
  codec(format: SchemaFormat, use: CodecUse, options: RegistryCodecOptions): RegistryCodec {
    const { schema } = format
    const subject = subjectOf(use, options, () => schema && format.recordName(schema))
    // A schema that cannot be used is an error where it is declared.
    if (schema !== undefined) format.writer(schema, use.canonical)
    const { canonical, isWritten } = use
    const codec = new RegistryCodec(this, format, {
      subject,
      canonical,
      isWritten,
      register: options.register ?? false,
    })
    this.#codecs.push(codec)
    return codec
  }

  async open(): Promise<void> {
    this.#users++
    const { clock, settings } = this.#environment
    const connection = (this.#connection ??= this.#connect())
    await withTimeout(connection.prepared, settings.connectTimeoutMs, clock, () => this.#unreachable(connection.api))
  }

  close(): void {
    if (--this.#users > 0) return
    this.#connection?.abort.abort(new MillraceError('CLOSED', 'The schema registry is not used any more.'))
    this.#connection = undefined
  }

  /** Throws `SCHEMA_REGISTRY_UNSET` without a connection and a setting. */
  get api(): RegistryApi {
    return this.#connection?.api ?? this.apiFor(new AbortController().signal)
  }

  /** One that asks until the signal aborts. Throws `SCHEMA_REGISTRY_UNSET`, `SCHEMA_REGISTRY_URL_INVALID`. */
  apiFor(signal: AbortSignal): RegistryApi {
    const { clock, settings } = this.#environment
    const { schemaRegistry: url } = settings
    if (url === undefined)
      throw new MillraceError(
        'SCHEMA_REGISTRY_UNSET',
        `The app has codecs with schemas of a registry (${this.#codecs.map(({ place }) => place.subject).join(', ')}).`,
      )
    return url === 'memory:' ? (this.#memory ??= new MemoryApi()) : new RestApi(url, clock, signal)
  }

  nowMs(): number {
    return this.#environment.clock.monotonic()
  }

  known(id: number): Schema | MillraceError | undefined {
    return this.#schemas.get(id) ?? this.#connection?.loader.known(id)
  }

  keep(id: number, schema: Schema): void {
    this.#schemas.set(id, schema)
  }

  /** Resolves when `known` has an answer, or the registry is closed. */
  async load(id: number): Promise<void> {
    await this.#connection?.loader.load(id)
  }

  /** Asks until the registry answers. */
  ask<T>(question: () => Promise<T>): Promise<T> {
    const loader = this.#connection?.loader
    if (loader === undefined) return question()
    return loader.persist(question, 'throws')
  }

  #connect(): Connection {
    const { clock } = this.#environment
    const abort = new AbortController()
    const api = this.apiFor(abort.signal)
    const loader = new SchemaLoader(api, {
      ...{ clock, signal: abort.signal, schemas: this.#schemas },
      log: () => this.#environment.log,
    })
    // The codecs ask through the connection.
    const prepared = Promise.resolve().then(async () => {
      await Promise.all(this.#codecs.map((codec) => codec.prepare()))
    })
    prepared.catch(() => {
      // Whoever opens the registry gets it.
    })
    return { api, loader, abort, prepared }
  }

  #unreachable({ url }: RegistryApi): MillraceError {
    const seconds = this.#environment.settings.connectTimeoutMs / 1000
    return new MillraceError(
      'SCHEMA_REGISTRY_UNREACHABLE',
      `The schema registry at ${url} has not answered for ${seconds} s (connectTimeout).`,
    )
  }
}
