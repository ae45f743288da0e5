import type { ResolvedSettings } from '@millrace/core'
import { DEFAULT_ERROR_POLICY, type ErrorPolicy } from '@millrace/streams'

/** What agents do with failing events when they say nothing else. */
export function errorPolicyOf({ agent }: ResolvedSettings): ErrorPolicy {
  const { retries, backoffMs, maxBackoffMs } = agent
  return { ...DEFAULT_ERROR_POLICY, retries, backoffMs, maxBackoffMs }
}
