/** The schema of a codec of the app, as the registry judges it. */
export interface SchemaCheck {
  readonly subject: string
  /** `avro`, `protobuf` or `json-schema`. */
  readonly codec: string
  /**
   * `registered`: the registry has this schema. `compatible`: it would take it as a new version. `new`: the subject has
   * no schema yet. `incompatible`: it would refuse it.
   */
  readonly verdict: 'registered' | 'compatible' | 'new' | 'incompatible'
  /** The id of a registered schema. */
  readonly id: number | undefined
  /** Why it is incompatible, in the words of the registry. */
  readonly reasons: readonly string[]
}

/** A schema registry for the command line, as the app's codecs use it. Every method asks the registry once. */
export interface SchemaAdmin {
  /** Without user and password. Throws `SCHEMA_REGISTRY_UNSET`. */
  url(): string
  /** How many subjects it has, and the compatibility that it demands unless a subject has its own. */
  look(): Promise<{ readonly subjects: number; readonly compatibility: string | undefined }>
  /** For each schema in the code of the app. */
  check(): Promise<readonly SchemaCheck[]>
  /** Registers the schemas in the code of the app that are compatible. */
  register(): Promise<readonly SchemaCheck[]>
  /** A TypeScript module with the types of the subjects; without subjects, of those that the app's codecs use. */
  types(subjects: readonly string[]): Promise<string>
}
