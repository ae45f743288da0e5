import { adminCases } from './cases/admin-cases.ts'
import { closingCases } from './cases/closing-cases.ts'
import { commitCases } from './cases/commit-cases.ts'
import { deliveryCases } from './cases/delivery-cases.ts'
import { membershipCases } from './cases/membership-cases.ts'
import { producingCases } from './cases/producing-cases.ts'
import { readingCases } from './cases/reading-cases.ts'
import { rebalanceCases } from './cases/rebalance-cases.ts'
import { topicCases } from './cases/topic-cases.ts'
import { transactionCases } from './cases/transaction-cases.ts'
import type { TransportCase } from './case-context.ts'

/** The case's name, to which a driver's `skip` refers. */
export type TransportCaseName =
  | keyof typeof adminCases
  | keyof typeof topicCases
  | keyof typeof closingCases
  | keyof typeof commitCases
  | keyof typeof deliveryCases
  | keyof typeof membershipCases
  | keyof typeof producingCases
  | keyof typeof readingCases
  | keyof typeof rebalanceCases
  | keyof typeof transactionCases

/** The cases for every transport, in the order in which a new driver should pass them. */
export const transportCases: Readonly<Record<TransportCaseName, TransportCase>> = {
  ...adminCases,
  ...topicCases,
  ...producingCases,
  ...readingCases,
  ...closingCases,
  ...membershipCases,
  ...commitCases,
  ...deliveryCases,
  ...rebalanceCases,
  ...transactionCases,
}
