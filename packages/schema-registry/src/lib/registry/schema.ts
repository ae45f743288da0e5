/** The kinds of schemas, by the names that registries use. */
export type SchemaType = 'AVRO' | 'PROTOBUF' | 'JSON'

/** A schema that another one refers to. */
export interface ReferencedSchema {
  /** As the other one names it: an Avro type, the path of an import, a `$ref`. */
  readonly name: string
  readonly text: string
}

/** A schema as a registry keeps it. */
export interface Schema {
  readonly type: SchemaType
  readonly text: string
  /** What it refers to, each after those that it refers to itself. */
  readonly references: readonly ReferencedSchema[]
}

/** A schema under a subject. */
export interface SchemaVersion {
  readonly id: number
  readonly schema: Schema
}

/**
 * What is asked of a registry. Every method asks once, and rejects with a `MillraceError`:
 * `SCHEMA_REGISTRY_UNREACHABLE` if it does not answer as a registry, `SCHEMA_REGISTRY_REFUSED` if it does not let the
 * caller in, `SCHEMA_NOT_REGISTERED` if it has no such subject or schema, `SCHEMA_INCOMPATIBLE`, `SCHEMA_INVALID`.
 */
export interface RegistryApi {
  /** Without user and password. */
  readonly url: string
  /** Rejects with `SCHEMA_ID_MISSING` rather than `SCHEMA_NOT_REGISTERED`. */
  schema(id: number): Promise<Schema>
  /** The id of a schema that the subject has. */
  idOf(subject: string, schema: Schema): Promise<number>
  /** The id of the schema, which is made a new version of the subject unless it has it. */
  register(subject: string, schema: Schema): Promise<number>
  versions(subject: string): Promise<readonly number[]>
  version(subject: string, version: number | 'latest'): Promise<SchemaVersion>
  subjects(): Promise<readonly string[]>
  /** What subjects demand that have no setting of their own; `undefined` if the registry does not say. */
  compatibility(): Promise<string | undefined>
  /** Why the subject would not take the schema; none if it would. */
  problems(subject: string, schema: Schema): Promise<readonly string[]>
}
