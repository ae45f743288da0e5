import type { AnyParams } from '../paths/path-params.ts'
import type { PageAnswer, PageContext } from '../pages/page-context.ts'

/** Answers a request on a worker that has the key. */
export type KeyHandler<Params, K> = (c: PageContext<Params>, key: K) => PageAnswer

/** Parameters that a path must have: the one named. */
export type ParamsWith<Name extends string> = { readonly [N in Name]: string } & AnyParams
