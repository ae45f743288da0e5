import avsc, { type Type } from 'avsc'
import { parsed } from '../formats/avro-format.ts'
import type { Schema } from '../registry/schema.ts'
import { comment, type DeclaredTypes, nameOf, property } from './declared-types.ts'

const PLAIN: Readonly<Record<string, string>> = {
  null: 'null',
  boolean: 'boolean',
  int: 'number',
  long: 'number',
  float: 'number',
  double: 'number',
  bytes: 'Buffer',
  fixed: 'Buffer',
  string: 'string',
}

/** The types of an Avro schema, as `avro()` reads them. `name` is that of a type without a name of its own. */
export function avroTypes(schema: Schema, name: string): DeclaredTypes {
  const declarations = new Map<Type, { readonly name: string; readonly text: string }>()
  const typeOf = (type: Type): string => {
    const known = declarations.get(type)
    if (known !== undefined) return known.name
    if (avsc.Type.isType(type, 'record', 'error')) return recordOf(type as avsc.types.RecordType)
    if (avsc.Type.isType(type, 'enum'))
      return (type as avsc.types.EnumType).symbols.map((symbol) => JSON.stringify(symbol)).join(' | ')
    if (avsc.Type.isType(type, 'array'))
      return `readonly ${grouped(typeOf((type as avsc.types.ArrayType).itemsType))}[]`
    if (avsc.Type.isType(type, 'map'))
      return `Readonly<Record<string, ${typeOf((type as avsc.types.MapType).valuesType)}>>`
    if (avsc.Type.isType(type, 'union')) return unionOf(type)
    if (avsc.Type.isType(type, 'logical')) return typeOf((type as avsc.types.LogicalType).underlyingType)
    return PLAIN[type.typeName] ?? 'unknown'
  }
  const unionOf = (type: Type): string => {
    const { types } = type as avsc.types.UnwrappedUnionType
    const isWrapped = type.typeName === 'union:wrapped'
    return types
      .map((each) => {
        if (!isWrapped || avsc.Type.isType(each, 'null')) return typeOf(each)
        return `{ readonly ${property(each.branchName ?? each.typeName)}: ${typeOf(each)} }`
      })
      .join(' | ')
  }
  const recordOf = (type: avsc.types.RecordType): string => {
    const own = nameOf(type.name?.split('.').at(-1) ?? name)
    const taken = [...declarations.values()].some((other) => other.name === own)
    const unique = taken ? nameOf(type.name ?? name) : own
    // Known before its fields, which may be of its own type.
    declarations.set(type, { name: unique, text: '' })
    const fields = type.fields.map((field) => {
      const type = typeOf(field.type)
      return `${comment(Reflect.get(field, 'doc'), '  ')}  readonly ${property(field.name)}: ${type}`
    })
    const text = `${comment(Reflect.get(type, 'doc'), '')}export interface ${unique} {\n${fields.join('\n')}\n}`
    declarations.delete(type)
    declarations.set(type, { name: unique, text })
    return unique
  }
  const root = typeOf(parsed(schema, 'number'))
  const isNamed = [...declarations.values()].some((each) => each.name === root)
  const alias = isNamed ? [] : [{ name, text: `export type ${name} = ${root}` }]
  return { main: isNamed ? root : name, declarations: [...declarations.values(), ...alias] }
}

function grouped(type: string): string {
  return /[ |]/.test(type) ? `(${type})` : type
}
