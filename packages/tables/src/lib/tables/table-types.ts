import type { CodecSpec, Immutable, InputOf, NamedCodecs, OutputOf } from '@millrace/core'

/** A table's value type for a codec spec. */
export type ValueOf<S extends CodecSpec> = Immutable<InputOf<S>>

/** A table's key type for a codec spec. */
export type KeyOf<S extends CodecSpec> = InputOf<S>

/** What the compiler says when a schema changes what it validates, as one does that has a `.default()`. */
export interface InputDiffersFromOutput {
  readonly 'a table needs a schema whose input and output are the same type, without .default() or .transform(): give the table the option migrate, which reads the rows that lack a new field': never
}

/** `unknown` for specs whose input and output types are equal: a table gives out what was put in. */
export type RoundTrip<S extends CodecSpec> = S extends keyof NamedCodecs
  ? unknown
  : [InputOf<S>] extends [OutputOf<S>]
    ? [OutputOf<S>] extends [InputOf<S>]
      ? unknown
      : InputDiffersFromOutput
    : InputDiffersFromOutput

/** What makes the value of a key that has none, anew for each key. */
export type Fallback<VS extends CodecSpec> = (() => ValueOf<VS>) | undefined

/** What `get` gives: `undefined` only where there is no default. */
export type GivenOf<VS extends CodecSpec, D extends Fallback<VS>> = [D] extends [undefined]
  ? ValueOf<VS> | undefined
  : ValueOf<VS>
