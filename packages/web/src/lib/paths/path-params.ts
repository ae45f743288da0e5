type ParamNames<Path extends string> = Path extends `${infer Segment}/${infer Rest}`
  ? ParamNames<Segment> | ParamNames<Rest>
  : Path extends `:${infer Name}`
    ? Name
    : never

/**
 * The parameters of a path, by name: `/words/:word/` has `{ word: string }`. Of a path that is only known at run time:
 * any text by any name.
 */
export type PathParams<Path extends string> = string extends Path
  ? AnyParams
  : { readonly [Name in ParamNames<Path>]: string }

/** Parameters of a path that is not known here. */
export type AnyParams = Readonly<Record<string, string>>
