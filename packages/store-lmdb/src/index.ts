/// <reference types="node" preserve="true" />
export { findOtherFormats, hasStore, removeOtherFormat, type OtherFormat } from './lib/marker-file.ts'
export { backupStore, createLmdbStore, type LmdbStore, type LmdbStoreOptions } from './lib/lmdb-store.ts'
