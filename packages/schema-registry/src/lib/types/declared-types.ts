/** TypeScript declarations of one schema. */
export interface DeclaredTypes {
  /** The type of its values. */
  readonly main: string
  readonly declarations: readonly { readonly name: string; readonly text: string }[]
}

/** A name as a property. */
export function property(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name)
}

/** A comment, if there is one; whatever it says, it ends where it should. */
export function comment(text: unknown, indent: string): string {
  if (typeof text !== 'string' || text.trim() === '') return ''
  const clean = text.trim().replaceAll('*/', '* /').split('\n').join(`\n${indent} * `)
  return `${indent}/** ${clean} */\n`
}

/** `OrdersValue` for `orders-value`. */
export function nameOf(text: string): string {
  const name = text
    .split(/[^A-Za-z0-9_$]/)
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')
  return /^[0-9]/.test(name) || name === '' ? `_${name}` : name
}
