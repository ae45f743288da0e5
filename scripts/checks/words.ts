import { codeOnly, lineAt } from './code-only.ts'
import type { Problem } from './problem.ts'
import { isShipped, type SourceFile, type Workspace } from './workspace.ts'

/** The packages that a record passes. */
const ENGINE = /^packages\/(?:core|worker|state|streams|tables|windows|joins|client|app)$/

interface Word {
  readonly pattern: RegExp
  /** What to write in its place. */
  readonly better: string
  /** Ordinary English in a sentence, and a riddle as a name: looked for in the engine's code alone. */
  readonly inNames?: true
}

/** Names that something has had, and terms that only we would use. Each has a word of the field. */
const WORDS: readonly Word[] = [
  { pattern: /\bKEY_IN_HAND\b/g, better: 'KEY_CONFLICT' },
  { pattern: /\blongest(?:InHand|_in_hand)\w*/g, better: 'longestInFlightMs' },
  { pattern: /\binHand\b/g, better: 'inFlight' },
  { pattern: /\bin hand\b/gi, better: 'in flight' },
  { pattern: /\bmaxOutboxBytes\b/g, better: 'maxPendingSendBytes' },
  { pattern: /\b\w*outbox(?:_bytes)?\b/gi, better: 'pending sends' },
  { pattern: /\blanes?\b/gi, better: 'broker, as in brokerOf' },
  { pattern: /(?<!-)\bhops?\b(?!-by-hop)/gi, better: 'forwarded request' },
  { pattern: /(?<!\bline |-)\bfeeds?\b/gi, better: 'queue, or input' },
  { pattern: /\binlets?\b/gi, better: 'source' },
  { pattern: /\bdesks?\b/gi, better: 'what it is: a server, a queue', inNames: true },
  { pattern: /\broads?\b/gi, better: 'way, or path', inNames: true },
  { pattern: /\bTimeFigures\b/g, better: 'TimeStats' },
  { pattern: /\bRunningPlace\b/g, better: 'RunningEnvironment' },
  { pattern: /\bDeadLetterPlace\b/g, better: 'DeadLetterLocation' },
  { pattern: /\b(?:putBack|handBack)\b/g, better: 'requeue, or defer' },
  { pattern: /\bsuspects?\b/gi, better: 'blocking events' },
  { pattern: /\b(?:setAside|forgiven)\b/g, better: 'the reason for which it waits' },
  { pattern: /\basItCame\b/g, better: 'original' },
  { pattern: /\btakeApart\b/g, better: 'parse' },
  { pattern: /\bcarryOut\b/g, better: 'execute' },
  { pattern: /\b(?:becomeWhole|isWhole)\b/g, better: 'committable', inNames: true },
  { pattern: /\bcuts?\b/gi, better: 'commit, end, or truncate', inNames: true },
  { pattern: /\blooks\b/gi, better: 'reads, or checks', inNames: true },
  { pattern: /\bfigures\b/gi, better: 'stats', inNames: true },
  { pattern: /\bmoving\b/g, better: 'current', inNames: true },
  { pattern: /\bscopes?\b/gi, better: 'current event, or context', inNames: true },
]

/** What readers of other versions expect, and what tells of the words themselves. */
const ALLOWED: readonly (readonly [path: RegExp, words: RegExp])[] = [
  [
    /^(?:decisions|\.changeset)\/|^scripts\/checks\/(?:words|figures)(?:\.test)?\.ts$|(?:^|\/)CHANGELOG\.md$|^pnpm-lock\.yaml$/,
    /./,
  ],
  // In messages between members of a group, since before the word was another one.
  [
    /^packages\/worker\/src\/lib\/group\/(?:member-data|own-data|frozen-formats\.test|task-assignor\.test)\.ts$/,
    /^suspects$/,
  ],
  // What is signed between workers, by the version before too.
  [/^packages\/web\/src\/lib\/routing\//, /^hop$/],
]

/** Old names and home-made words, in code, comments, messages, tests and documents. */
export function checkWords(workspace: Workspace): readonly Problem[] {
  const sources = workspace.files.flatMap((file) => [
    ...find(file.path, file.text, everywhere),
    ...(isEngine(file) ? find(file.path, codeOnly(file.text).bare, names) : []),
  ])
  const documents = [...workspace.paths]
    .filter((path) => /\.(?:md|json|ya?ml|html)$/.test(path))
    .flatMap((path) => find(path, workspace.read(path), everywhere))
  return [...sources, ...documents]
}

const everywhere = WORDS.filter(({ inNames }) => inNames !== true)
const names = WORDS.filter(({ inNames }) => inNames === true)

function find(path: string, text: string, words: readonly Word[]): readonly Problem[] {
  const allowed = ALLOWED.filter(([file]) => file.test(path)).map(([, word]) => word)
  return words.flatMap(({ pattern, better }) =>
    [...text.matchAll(pattern)]
      .filter(([found]) => !allowed.some((word) => word.test(found)))
      .map(({ index, 0: found }) => ({ file: path, line: lineAt(text, index), message: `${found}: say ${better}` })),
  )
}

function isEngine(file: SourceFile): boolean {
  return isShipped(file) && ENGINE.test(file.package?.directory ?? '')
}
