import { type ErrorCode, isMillraceError, redactText } from '@millrace/core'
import type { PageContext } from '../pages/page-context.ts'
import { errorAnswer, PageError } from '../pages/page-error.ts'
import { View } from '../pages/view.ts'
import type { SiteAgent } from '../site-app.ts'
import type { BuiltInPages, BuiltInTools } from './site-tools.ts'

/** The share of a request's time that an agent has to answer: the rest is for telling the client that it has not. */
const SHARE = 0.9

/**
 * Where it differs from other pages. The question may have arrived when the worker stops or has lost its broker, so the
 * answer has no `retry-after`: a client that repeats what has one would ask twice.
 */
const STATUS: Partial<Record<ErrorCode, number>> = {
  SCHEMA_MISMATCH: 400,
  ENCODE_FAILED: 400,
  ASK_FAILED: 500,
  CLOSED: 503,
  BROKER_UNREACHABLE: 503,
  CHANNEL_CLOSED: 503,
  LEASE_EXPIRED: 503,
}

/** Agents that others may ask. */
export function agentPages(tools: BuiltInTools): BuiltInPages {
  return {
    '/agent/:name/ask/': {
      help: 'POST of `{ "value": … }` asks an agent that is declared with `http: true`, and answers with its reply as JSON. With `"key"`, as JSON, and `"timeout"`, in milliseconds; it ends before `web.requestTimeout` at the latest, with 504. If the agent fails, 500 with `millrace-error: ASK_FAILED`, and the agent’s message as `error`. The value is checked as in a send (400). It needs the header `millrace-action`, with any value; `web.admin` does not switch it off.',
      page: class Ask extends View {
        override post(c: PageContext): Promise<Response> {
          return ask(tools, c)
        }
      },
    },
  }
}

/** Throws a `PageError`, and what `Agent.ask` throws. */
async function ask({ site, access }: BuiltInTools, c: PageContext): Promise<Response> {
  const { settings, redact = redactText } = site.surroundings
  const right = access.mayAskBy(c)
  if (!right.on) throw new PageError(403, right.reason)
  const agent = openAgent(site.definitions.agents, c.params['name'] ?? '')
  const { key, value, timeoutMs = Infinity } = readQuestion(await c.readJson())
  const timeout = Math.min(timeoutMs, Math.ceil(settings.web.requestTimeoutMs * SHARE))
  try {
    // The agent's codecs check what comes from outside the type system.
    return c.json(await agent.ask(value as never, { key: key as never, timeout }))
  } catch (error) {
    const status = isMillraceError(error) ? STATUS[error.code] : undefined
    if (!isMillraceError(error) || status === undefined) throw error
    const { detail, code } = error
    // The agent has logged its failure already.
    return errorAnswer(new PageError(status, detail, { code }), redact).response
  }
}

function openAgent(agents: ReadonlyMap<string, SiteAgent> | undefined, name: string): SiteAgent {
  const agent = agents?.get(name)
  if (agent === undefined) throw new PageError(404, `There is no agent "${name}".`, { code: 'AGENT_MISSING' })
  if (agent.http) return agent
  throw new PageError(403, `Agent "${name}" is not asked over HTTP: declare it with http: true.`, {
    code: 'AGENT_PRIVATE',
  })
}

interface AgentQuestion {
  readonly key: unknown
  readonly value: unknown
  readonly timeoutMs?: number
}

function readQuestion(body: unknown): AgentQuestion {
  if (typeof body !== 'object' || body === null || !('value' in body))
    throw new PageError(400, 'Say what to ask: { "value": …, "key": … }, where the key may be left out.')
  const key = 'key' in body ? body.key : undefined
  const { value } = body
  if (!('timeout' in body)) return { key, value }
  if (typeof body.timeout === 'number' && body.timeout > 0) return { key, value, timeoutMs: Math.ceil(body.timeout) }
  throw new PageError(400, 'timeout is a number of milliseconds above 0.')
}
