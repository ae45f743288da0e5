import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { AppDescription } from '@millrace/core/operations'
import type { Command } from '../commands/command-context.ts'
import { devCommand } from '../commands/dev-command.ts'
import { runWorker } from '../commands/worker-command.ts'

/** Set for the processes that `millrace dev` starts. */
export const DEV_VARIABLE = 'MILLRACE_DEV'

/** Messages from such a process to `millrace dev`. */
export type DevReport =
  /** Has loaded everything but the app and waits for permission to continue. */
  | { readonly kind: 'loaded' }
  /** The app runs. */
  | { readonly kind: 'ready'; readonly description: AppDescription; readonly url: string | null }

/** Whether `millrace dev` started this process. */
export function isDevWorker(env: Readonly<Record<string, string | undefined>>): boolean {
  return env[DEV_VARIABLE] !== undefined && process.send !== undefined
}

/**
 * Loads an app's dependencies, then waits for permission to load the app itself. A spare process thus has only the app
 * to load after a change, which makes restarts quick.
 */
export async function waitAsSpare(appFile: string): Promise<void> {
  const end = (): void => process.exit()
  process.once('disconnect', end)
  await preload(appFile)
  await new Promise<void>((resolve) => {
    process.once('message', () => resolve())
    report({ kind: 'loaded' })
  })
  process.off('disconnect', end)
}

/** A missing package does not matter here: the importing module reports it. */
async function preload(appFile: string): Promise<void> {
  const found = (name: string, from: string): string | undefined => {
    try {
      return createRequire(from).resolve(name)
    } catch {
      return undefined
    }
  }
  const app = found('@millrace/app', appFile)
  if (app === undefined) return
  const drivers = ['@millrace/transport-embedded', '@millrace/web-hono', '@millrace/store-lmdb', '@millrace/dashboard']
  const files = [app, ...drivers.flatMap((name) => found(name, app) ?? [])]
  await Promise.allSettled(files.map((file) => import(pathToFileURL(file).href)))
}

/** `worker` under `millrace dev`: without a banner, and with a message when the app runs. */
export const devWorkerCommand: Command = {
  ...devCommand,
  run: async (context) => {
    // `millrace dev` was killed, and nobody else would end this worker.
    const stop = (): void => void process.kill(process.pid, 'SIGTERM')
    process.once('disconnect', stop)
    try {
      return await runWorker(context, {
        introduces: false,
        onReady: () => {
          const { app } = context
          report({ kind: 'ready', description: app.describe(), url: app.worker()?.url ?? null })
        },
      })
    } finally {
      process.off('disconnect', stop)
    }
  },
}

function report(what: DevReport): void {
  process.send?.(what)
}
