/// <reference types="node" preserve="true" />
export { findOtherFormats, removeOtherFormat, type OtherFormat } from './lib/other-formats.ts'
export { createLmdbStore, type LmdbStore, type LmdbStoreOptions } from './lib/lmdb-store.ts'
