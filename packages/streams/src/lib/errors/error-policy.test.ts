import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  backoffMs,
  canDeadLetter,
  decideOnError,
  DEFAULT_ERROR_POLICY,
  errorPolicy,
  mistakePolicy,
} from './error-policy.ts'

const policies = fc.record({
  retries: fc.nat(20),
  backoffMs: fc.nat(10_000),
  maxBackoffMs: fc.nat(100_000),
  then: fc.constantFrom('stop' as const, 'skip' as const, 'deadLetter' as const),
})
const randoms = fc.double({ min: 0, max: 1, noNaN: true })

describe('decideOnError', () => {
  it('retries exactly as often as the policy says, then takes its final action', () => {
    fc.assert(
      fc.property(policies, randoms, (policy, random) => {
        let attempts = 0
        while (decideOnError(policy, { attempts, isFinal: false, random }).kind === 'retry') attempts++
        expect(attempts).toBe(policy.retries)
        expect(decideOnError(policy, { attempts, isFinal: false, random })).toEqual({ kind: policy.then })
      }),
    )
  })

  it('never retries an event that would fail again', () => {
    fc.assert(
      fc.property(policies, fc.nat(30), randoms, (policy, attempts, random) => {
        expect(decideOnError(policy, { attempts, isFinal: true, random })).toEqual({ kind: policy.then })
      }),
    )
  })
})

describe('backoffMs', () => {
  it('stays within the longest wait, and never shrinks for the same random number', () => {
    fc.assert(
      fc.property(policies, fc.nat(2000), randoms, (policy, attempts, random) => {
        const now = backoffMs(policy, attempts, random)
        expect(now).toBeGreaterThanOrEqual(0)
        expect(now).toBeLessThanOrEqual(policy.maxBackoffMs)
        expect(backoffMs(policy, attempts + 1, random)).toBeGreaterThanOrEqual(now)
      }),
    )
  })
})

describe('mistakePolicy', () => {
  it.each([
    [undefined, 'stop'],
    ['retry', 'stop'],
    [{ retry: 5 }, 'stop'],
    [{ retry: 5, then: 'skip' }, 'skip'],
    ['deadLetter', 'deadLetter'],
    ['skip', 'skip'],
    ['stop', 'stop'],
  ] as const)('%j: %s', (action, then) => {
    expect(mistakePolicy(action, errorPolicy(action, DEFAULT_ERROR_POLICY, 'x')).then).toBe(then)
  })
})

describe('canDeadLetter', () => {
  it.each([
    [undefined, true],
    ['retry', true],
    ['deadLetter', true],
    [{ retry: 1 }, true],
    [() => 'skip', true],
    ['skip', false],
    ['stop', false],
    [{ retry: 1, then: 'stop' }, false],
  ] as const)('%j: %s', (onError, expected) => {
    expect(canDeadLetter(onError, DEFAULT_ERROR_POLICY)).toBe(expected)
  })
})

describe('errorPolicy', () => {
  it('fills in the defaults', () => {
    expect(errorPolicy(undefined, DEFAULT_ERROR_POLICY, 'x')).toEqual({
      retries: 3,
      backoffMs: 100,
      maxBackoffMs: 10_000,
      then: 'deadLetter',
    })
    expect(errorPolicy('skip', DEFAULT_ERROR_POLICY, 'x')).toMatchObject({ retries: 0, then: 'skip' })
    expect(errorPolicy({ retry: 7, backoff: '2m' }, DEFAULT_ERROR_POLICY, 'x')).toEqual({
      retries: 7,
      backoffMs: 120_000,
      maxBackoffMs: 120_000,
      then: 'deadLetter',
    })
  })

  it('names the agent of an invalid policy', () => {
    expect(() => errorPolicy({ retry: -1 }, DEFAULT_ERROR_POLICY, 'agent "a"')).toThrow(/agent "a" has retry: -1/)
    expect(() => errorPolicy({ retry: 1, backoff: -5 }, DEFAULT_ERROR_POLICY, 'agent "a"')).toThrow(/DURATION_INVALID/)
    const given = (action: unknown): unknown =>
      Reflect.apply(errorPolicy, undefined, [action, DEFAULT_ERROR_POLICY, 'agent "a"'])
    expect(() => given('dead-letter')).toThrow(/agent "a" has "dead-letter", which is none of/)
    expect(() => given({ retry: 1, than: 'stop' })).toThrow(
      /onError of agent "a" has no option than. Did you mean then/,
    )
    expect(() => given({ retry: 1, then: 'retry' })).toThrow(/has "retry", which is none of/)
  })
})
