import { dirname } from 'node:path'
import type { OtherStore } from '@millrace/core'
import type { AppRuntime } from './app-runtime.ts'

/** Deletes a store that `otherStores` has told of. */
export async function removeOtherStore({ directory }: OtherStore): Promise<void> {
  const { removeOtherFormat } = await import('@millrace/store-lmdb')
  await removeOtherFormat(directory)
}

/** Stores of other versions, where this app keeps or would keep its own. */
export async function otherStores(directories: ReturnType<AppRuntime['directories']>): Promise<readonly OtherStore[]> {
  const { data, log, store } = directories
  const { findOtherFormats } = await import('@millrace/store-lmdb')
  const places = new Set([data, log, store === undefined ? undefined : dirname(store)])
  const found = [...places].flatMap((place) => (place === undefined ? [] : findOtherFormats(place)))
  return [...new Map(found.map((each) => [each.directory, each])).values()]
}
