import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { Secret } from 'kubernetes-models/v1/Secret'
import { Service } from 'kubernetes-models/v1/Service'
import { parseAllDocuments } from 'yaml'

/** An object as a manifest has it, whatever its kind. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
}

/** Validators compiled from the schemas of Kubernetes' API, for the kinds that there are in this repository. */
const KINDS = [Deployment, NetworkPolicy, PodDisruptionBudget, Secret, Service, StatefulSet] as const

/** All objects of a file. Throws where it is no YAML. */
export function readManifests(text: string): readonly unknown[] {
  return parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0]
    return document.contents === null ? [] : [document.toJS() as unknown]
  })
}

/** What Kubernetes would refuse about a manifest, as `kubectl apply --validate=strict` does; unknown fields too. */
export function manifestProblems(manifest: unknown): readonly string[] {
  const { apiVersion, kind } = Object(manifest) as Partial<Manifest>
  const model = KINDS.find((known) => known.apiVersion === apiVersion && known.kind === kind)
  if (model === undefined) return [`there is no schema here for ${apiVersion} ${kind}`]
  const read = new Set<string>()
  try {
    model.prototype.validate.call(noting(manifest as object, '', read))
  } catch (error) {
    return [String(error)]
  }
  return pathsOf(manifest, '')
    .filter((path) => !read.has(path))
    .map((path) => `${path} is unknown to the schema`)
}

/**
 * The same object, that notes what is asked of it. The schemas of Kubernetes let unknown fields pass; but a validator asks
 * for each field that it knows, and for no other.
 */
function noting<T extends object>(value: T, path: string, read: Set<string>): T {
  return new Proxy(value, {
    get(target, key, receiver) {
      const found: unknown = Reflect.get(target, key, receiver)
      if (typeof key === 'symbol' || !Object.hasOwn(target, key)) return found
      const at = `${path}/${key}`
      read.add(at)
      return typeof found === 'object' && found !== null ? noting(found, at, read) : found
    },
  })
}

function pathsOf(value: unknown, path: string): readonly string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, child]) => [`${path}/${key}`, ...pathsOf(child, `${path}/${key}`)])
}
