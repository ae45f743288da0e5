/** `target` with some of its methods replaced; all others are called on it as they are. */
export function overriding<T extends object>(target: T, overrides: Partial<T>): T {
  return new Proxy(target, {
    get: (inner, name) => {
      const found: unknown = Reflect.get(name in overrides ? overrides : inner, name)
      return typeof found === 'function' && !(name in overrides) ? found.bind(inner) : found
    },
  })
}
