export { avro, type AvroOptions } from './lib/avro.ts'
export type { AvroLong } from './lib/formats/avro-format.ts'
export type { RegistryCodecOptions, SubjectStrategy } from './lib/registry/subjects.ts'
