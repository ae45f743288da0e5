import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startApp, type AppProcess } from '@millrace/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const program = new URL('../../../packages/cli/millrace.mjs', import.meta.url)
const home = fileURLToPath(new URL('..', import.meta.url))

describe('millrace dev', () => {
  let project: string
  let app: string
  let dev: AppProcess | undefined

  beforeEach(async () => {
    // Below an app of the workspace, so that its packages are found from there; git does not look into it.
    await mkdir(join(home, 'node_modules/.cache'), { recursive: true })
    project = await mkdtemp(join(home, 'node_modules/.cache/dev-'))
    await writeFile(
      join(project, 'package.json'),
      JSON.stringify({ type: 'module', millrace: { app: './src/app.ts' } }),
    )
    await mkdir(join(project, 'src'))
    for (const name of ['app.ts', 'words.ts']) await cp(join(home, 'src', name), join(project, 'src', name))
    app = join(project, 'src/app.ts')
  })

  afterEach(async () => {
    await dev?.kill()
    await rm(project, { recursive: true, force: true })
  })

  const start = (...words: string[]): AppProcess => {
    dev = startApp(program, ['dev', '--workdir', project, '--web-port', '0', ...words])
    return dev
  }
  const edit = async (file: string, change: (text: string) => string): Promise<void> =>
    writeFile(file, change(await readFile(file, 'utf8')))
  const pageOf = (text: string): string => [...text.matchAll(/in [\d.]+ s: (\S+)/g)].at(-1)?.[1] ?? ''
  const count = async (url: string, word: string): Promise<unknown> => (await fetch(`${url}count/${word}/`)).json()

  it('opens with the address, starts anew after a change, says what changed, and keeps tables and positions', async () => {
    const process = start()
    await process.said('ready in')
    const send = startApp(program, ['send', 'posts', 'ahoy ahoy', '--workdir', project])
    expect(await send.exited).toBe(0)
    await expect.poll(() => count(pageOf(process.output()), 'ahoy'), { timeout: 30_000 }).toEqual({ ahoy: 2 })

    await edit(app, (text) =>
      text.replace('await app.main', "export const loud = app.topic('loud', { value: 'string' })\nawait app.main"),
    )
    await process.said('src/app.ts changed, restarting')
    await process.said('restarted in')
    await process.said('+ topic loud')
    await expect.poll(() => count(pageOf(process.output()), 'ahoy'), { timeout: 30_000 }).toEqual({ ahoy: 2 })
    expect(await process.stop()).toBe(0)
  })

  it('shows what keeps an app from starting, waits for the next change, and takes its worker along when it is killed; on the embedded broker though the app names a Kafka', async () => {
    await edit(app, (text) => text.replace("id: 'word-counts'", "id: 'word-counts', broker: 'kafka://nowhere:9092'"))
    const process = start()
    await process.said('ready in')
    const good = await readFile(app, 'utf8')
    await writeFile(app, `${good}\nconst x: = 1\n`)
    await process.said('APP_UNLOADABLE')
    await process.said('It starts again when a source changes')
    await writeFile(app, good.replace("id: 'word-counts'", "id: 'word counts'"))
    await process.said('SETTING_INVALID')
    await writeFile(app, good)
    await process.said('restarted in')
    const page = pageOf(process.output())
    await process.kill()
    const answers = async (): Promise<boolean> => (await fetch(page).catch(() => undefined)) !== undefined
    await expect.poll(answers, { timeout: 30_000 }).toBe(false)
  })

  it('without an app it is wrong usage', async () => {
    await writeFile(join(project, 'package.json'), JSON.stringify({ type: 'module' }))
    const process = start()
    expect(await process.exited).toBe(2)
    expect(process.output()).toContain('APP_NOT_FOUND')
  })
})
