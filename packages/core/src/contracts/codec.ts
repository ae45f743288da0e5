/**
 * Turns values into bytes and back. Synchronous, so that a table write or a hand-out never waits. What `encode` or
 * `decode` throws becomes `ENCODE_FAILED` or `DECODE_FAILED`, with the topic or table, in `resolveCodec`.
 * `encode` takes `In`; `decode` gives `Out`: the two differ for schemas that transform.
 */
export interface Codec<In, Out = In> {
  /** For messages and for the check that a table's keys are encoded as its source's. */
  readonly name: string
  encode(value: In): Buffer
  decode(bytes: Buffer): Out
}
