import fc from 'fast-check'
import { expect, it } from 'vitest'
import { mergePatch, type Json } from './merge-patch.ts'

/** Applies a patch as the page does. */
const { applyPatch }: { applyPatch(before: Json | undefined, patch: Json): Json } = await import(
  new URL('../../assets/patch.js', import.meta.url).href
)

const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.boolean(),
    fc.integer(),
    fc.string(),
    fc.array(fc.oneof(fc.integer(), fc.dictionary(fc.string(), fc.boolean())), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom('a', 'b', '__proto__', 'constructor'), fc.string()), tie('value'), {
      maxKeys: 4,
    }),
  ),
})).value

it('applying the patch gives the new state', () => {
  fc.assert(
    fc.property(json, json, (before, after) => {
      const patch = mergePatch(before, after)
      expect(JSON.stringify(patch === undefined ? before : applyPatch(before, patch)).length).toBe(
        JSON.stringify(after).length,
      )
      expect(patch === undefined ? before : applyPatch(before, patch)).toEqual(after)
    }),
  )
})

it('contains only the changes', () => {
  const before = { a: { b: 1, c: [1, 2] }, d: 'x', e: true }
  expect(mergePatch(before, structuredClone(before))).toBeUndefined()
  expect(mergePatch(before, { a: { b: 2, c: [1, 2] }, d: 'x' })).toEqual({ a: { b: 2 }, e: null })
  expect(mergePatch(before, { ...before, a: { b: 1, c: [1] } })).toEqual({ a: { c: [1] } })
})
