// A plugin of Stryker: what is said to people, in logs and errors, is not mutated. Plain JavaScript with no imports, because
// each of Stryker's processes loads it by itself.

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

export const strykerPlugins = [
  {
    kind: 'Ignore',
    name: 'messages',
    value: {
      shouldIgnore({ node }) {
        return isLogCall(node) || isError(node) ? 'It is said to people.' : undefined
      },
    },
  },
]
