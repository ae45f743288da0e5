/// <reference types="node" preserve="true" />
export { findOtherFormats, removeOtherFormat, type OtherFormat } from './lib/marker-file.ts'
export { createLmdbStore, type LmdbStore, type LmdbStoreOptions } from './lib/lmdb-store.ts'
