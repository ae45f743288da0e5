import { readdirSync, readFileSync } from 'node:fs'
import { describeSettings } from '@millrace/core'
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment'
import type { IStatefulSet } from 'kubernetes-models/apps/v1/StatefulSet'
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'
import type { IPodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import type { ISecret } from 'kubernetes-models/v1/Secret'
import type { IService } from 'kubernetes-models/v1/Service'
import { describe, expect, test } from 'vitest'
import { manifestProblems, readManifests } from './manifests.ts'

const root = new URL('../../', import.meta.url)
const templates = 'packages/create-stream-app/templates'

/** Folders of manifests: each file of them is applied with the others. */
const FOLDERS = ['deploy/kubernetes', `${templates}/orders/k8s`]
const manifests = FOLDERS.flatMap((folder) =>
  readdirSync(new URL(folder, root)).flatMap((name) =>
    readManifests(text(`${folder}/${name}`)).map((manifest) => ({ file: `${folder}/${name}`, folder, manifest })),
  ),
)

type Workload = IDeployment | IStatefulSet
const workloads = ofKind<Workload>('Deployment', 'StatefulSet')

function text(path: string): string {
  return readFileSync(new URL(path, root), 'utf8')
}

/** Those of a kind, as the schema has found them to be. */
function ofKind<T>(...kinds: readonly string[]): readonly { file: string; folder: string; manifest: T }[] {
  return manifests.flatMap(({ file, folder, manifest }) => {
    const { kind } = manifest as { readonly kind: string }
    return kinds.includes(kind) ? [{ file, folder, manifest: manifest as T }] : []
  })
}

/** Pod, labels and only container of a workload. */
function podOf({ spec }: Workload) {
  const pod = spec?.template.spec
  const container = pod?.containers[0]
  if (pod === undefined || container === undefined) throw new Error('The workload has no container.')
  return { pod, container, labels: spec?.template.metadata?.labels ?? {} }
}

describe('the schema refuses', () => {
  const service = (spec: object) => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec })

  test('nothing of a good manifest', () => {
    expect(manifestProblems(service({ selector: { app: 'a' }, ports: [{ port: 80, targetPort: 'http' }] }))).toEqual([])
  })

  test('an unknown field, wherever it is', () => {
    expect(manifestProblems(service({ ports: [{ port: 80, targetport: 1 }] }))).toEqual([
      '/spec/ports/0/targetport is unknown to the schema',
    ])
    expect(manifestProblems({ ...service({}), specs: {} })).toEqual(['/specs is unknown to the schema'])
  })

  test('a value of the wrong type, and a field that is missing', () => {
    expect(manifestProblems(service({ ports: [{ port: '80' }] })).join()).toMatch(/ports\/0\/port must be integer/)
    expect(manifestProblems(service({ ports: [{ name: 'http' }] })).join()).toMatch(/port/)
    expect(manifestProblems(service({ selector: { app: 1 } })).join()).toMatch(/selector\/app must be string/)
  })

  test('a kind or version that it does not have, and what is no object', () => {
    expect(manifestProblems({ ...service({}), apiVersion: 'v2' })).toEqual(['there is no schema here for v2 Service'])
    expect(manifestProblems('text')).toEqual(['there is no schema here for undefined undefined'])
    expect(() => readManifests('a: 1\na: 2')).toThrow(/unique/)
  })

  test.each(workloads)('$file with a field of a container in the wrong place', ({ manifest }) => {
    const { pod, container } = podOf(manifest)
    const { readinessProbe } = container
    const template = { spec: { ...pod, readinessProbe, containers: [{ ...container, runAsNonRoot: true }] } }
    const wrong = { ...manifest, spec: { ...manifest.spec, template } }
    const problems = manifestProblems(wrong)
    expect(problems).toContain('/spec/template/spec/readinessProbe is unknown to the schema')
    expect(problems).toContain('/spec/template/spec/containers/0/runAsNonRoot is unknown to the schema')
  })
})

test.each(manifests)('$file is as Kubernetes wants it', ({ manifest }) => {
  expect(manifestProblems(manifest)).toEqual([])
})

describe.each(workloads)('$file', ({ file, folder, manifest }) => {
  const { pod, container, labels } = podOf(manifest)
  const beside = <T>(kind: string): readonly T[] =>
    ofKind<T>(kind).flatMap((other) => (other.folder === folder ? [other.manifest] : []))
  const inFile = <T>(kind: string): readonly T[] =>
    ofKind<T>(kind).flatMap((other) => (other.file === file ? [other.manifest] : []))

  test('has no more rights than it needs', () => {
    expect(pod.automountServiceAccountToken).toBe(false)
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
    expect(pod.securityContext?.runAsUser).toBeGreaterThan(0)
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
  })

  test('is asked for its health where it answers, and leaves room for a stop', () => {
    const { livenessProbe, readinessProbe, startupProbe = livenessProbe, resources } = container
    expect(livenessProbe?.httpGet?.path).toBe('/health/live')
    expect(startupProbe?.httpGet?.path).toBe('/health/live')
    expect(readinessProbe?.httpGet?.path).toBe('/health/ready')
    const port = container.ports?.find(({ name }) => name === 'http')?.containerPort
    expect(String(port)).toBe(describeSettings().find(({ name }) => name === 'web.port')?.default)
    const shutdown = describeSettings().find(({ name }) => name === 'shutdownTimeout')?.default ?? ''
    // That is all that a stop may take; the rest is for the process to start stopping, and to end.
    expect(pod.terminationGracePeriodSeconds).toBe(Number(/^'(\d+)s'$/.exec(shutdown)?.[1]) + 5)
    expect(resources).toMatchObject({ requests: { cpu: expect.any(String) }, limits: { memory: expect.any(String) } })
  })

  test('sets variables that are settings, secrets from files only', () => {
    const settings = describeSettings().filter(({ environment }) => environment !== undefined)
    const plain = settings.filter(({ secret }) => !secret).map(({ environment }) => environment)
    const files = settings.filter(({ secret }) => secret).map(({ environment }) => `${environment}_FILE`)
    const set = (container.env ?? []).map(({ name }) => name).filter((name) => name.startsWith('MILLRACE_'))
    expect(set).toContain('MILLRACE_BROKER')
    expect(set).toContain('MILLRACE_WEB_ADVERTISE')
    expect(set.filter((name) => ![...plain, ...files].includes(name))).toEqual([])
  })

  test('mounts volumes and secrets that there are', () => {
    const claims =
      'volumeClaimTemplates' in (manifest.spec ?? {}) ? (manifest as IStatefulSet).spec?.volumeClaimTemplates : []
    const volumes = [...(pod.volumes ?? []), ...(claims ?? []).map(({ metadata }) => ({ name: metadata?.name }))]
    const mounts = container.volumeMounts ?? []
    expect(mounts.map(({ name }) => name).toSorted()).toEqual(volumes.map(({ name }) => name).toSorted())
    for (const { name, secret } of pod.volumes ?? []) {
      if (secret === undefined) continue
      const kept = beside<ISecret>('Secret').find(({ metadata }) => metadata?.name === secret.secretName)
      const at = mounts.find((mount) => mount.name === name)?.mountPath ?? ''
      const read = (container.env ?? []).flatMap(({ value = '' }) => (value.startsWith(`${at}/`) ? [value] : []))
      expect(read.toSorted()).toEqual(
        Object.keys(kept?.stringData ?? {})
          .map((key) => `${at}/${key}`)
          .toSorted(),
      )
    }
  })

  test('is found by its services, its budget and its policy', () => {
    expect(labels).toMatchObject(manifest.spec?.selector.matchLabels ?? { none: '' })
    const services = inFile<IService>('Service')
    expect(services).not.toHaveLength(0)
    for (const { spec } of services) {
      expect(labels).toMatchObject(spec?.selector ?? { none: '' })
      for (const { targetPort } of spec?.ports ?? [])
        expect(container.ports?.map(({ name }) => name)).toContain(targetPort)
    }
    const budgets = inFile<IPodDisruptionBudget>('PodDisruptionBudget')
    expect(budgets).toHaveLength(1)
    for (const { spec } of budgets) expect(labels).toMatchObject(spec?.selector?.matchLabels ?? { none: '' })
    for (const { spec } of beside<INetworkPolicy>('NetworkPolicy'))
      expect(labels).toMatchObject(spec?.podSelector.matchLabels ?? { none: '' })
    if (manifest.kind === 'StatefulSet')
      expect(services.map(({ metadata }) => metadata?.name)).toContain(manifest.spec?.serviceName)
  })
})

describe.each([
  // Sources as they are.
  { path: 'deploy/docker/Dockerfile', runs: [] },
  // What `npm start` of the template runs.
  { path: `${templates}/orders/Dockerfile`, runs: ['-A', './dist/app.js'] },
])('$path', ({ path, runs }) => {
  const lines = text(path)
    .replaceAll('\\\n', '')
    .split('\n')
    .map((line) => line.split(/\s+/))
  const last = (word: string): readonly string[] => lines.findLast(([first]) => first === word)?.slice(1) ?? []

  test('ends as a user that is not root, and starts the worker itself', () => {
    expect(last('USER')).toEqual([expect.stringMatching(/^(?:[1-9]\d*:[1-9]\d*|node)$/)])
    expect(JSON.parse(last('CMD').join(' '))).toEqual(['node_modules/.bin/millrace', 'worker', ...runs])
    expect(last('ENV')).toContain('NODE_ENV=production')
  })
})

test('the Dockerfile of the guide is the one that is kept', () => {
  const commands = text('deploy/docker/Dockerfile').replaceAll(/^#.*\n/gm, '')
  expect(text('docs/guide/deploying.md')).toContain(`\`\`\`dockerfile\n${commands}\`\`\``)
})
