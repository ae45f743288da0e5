export { createLmdbStore, type LmdbStore, type LmdbStoreOptions } from './lib/lmdb-store.ts'
