import { describe } from 'vitest'
import type { WebDriver } from '@millrace/core/http'
import { closingCases } from './cases/closing-cases.ts'
import { exchangeCases } from './cases/exchange-cases.ts'
import { failureCases } from './cases/failure-cases.ts'
import { hostileCases } from './cases/hostile-cases.ts'
import { smugglingCases } from './cases/smuggling-cases.ts'
import { tlsCases } from './cases/tls-cases.ts'

/**
 * The contract of `WebDriver`, tested over real sockets of this machine.
 *
 * @example
 * webSuite('hono', honoDriver)
 */
export function webSuite(name: string, createDriver: () => WebDriver): void {
  describe(`web driver: ${name}`, () => {
    describe('exchanges', () => {
      exchangeCases(createDriver)
    })
    describe('failures', () => {
      failureCases(createDriver)
    })
    describe('hostile and slow clients', () => {
      hostileCases(createDriver)
    })
    describe('requests within requests', () => {
      smugglingCases(createDriver)
    })
    describe('over TLS', () => {
      tlsCases(createDriver)
    })
    describe('opening and closing', () => {
      closingCases(createDriver)
    })
  })
}
