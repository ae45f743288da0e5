// Plugins of Stryker. Plain JavaScript, because each of Stryker's processes loads them by itself.

import { WarmRunner } from './warm-runner.mjs'

const LEVELS = new Set(['trace', 'debug', 'info', 'warn', 'error'])

/** `log.warn(…)`, `this.#worker.log.debug(…)` */
function isLogCall({ type, callee }) {
  if (type !== 'CallExpression' && type !== 'OptionalCallExpression') return false
  const { object, property } = callee
  return LEVELS.has(property?.name) && (object?.name === 'log' || object?.property?.name === 'log')
}

/** `new MillraceError('CODE', 'message')`: whether it is thrown is mutated, what it says is not. */
function isError({ type, callee }) {
  return type === 'NewExpression' && callee.name?.endsWith('Error') === true
}

/** Shows survivors as they come, for who does not wait for the report or ends the run before it. */
class Survivors {
  onMutantTested({ status, fileName, location, replacement }) {
    if (status !== 'Survived' && status !== 'NoCoverage') return
    const place = `${fileName.slice(process.cwd().length + 1)}:${location.start.line}:${location.start.column}`
    console.log(`  survived  ${place}  ${replacement.replaceAll(/\s+/g, ' ').slice(0, 80)}`)
  }
}

export const strykerPlugins = [
  // What is said to people, in logs and errors, is not mutated.
  {
    kind: 'Ignore',
    name: 'messages',
    value: {
      shouldIgnore({ node }) {
        return isLogCall(node) || isError(node) ? 'It is said to people.' : undefined
      },
    },
  },
  { kind: 'TestRunner', name: 'warm', injectableClass: WarmRunner },
  { kind: 'Reporter', name: 'survivors', injectableClass: Survivors },
]
