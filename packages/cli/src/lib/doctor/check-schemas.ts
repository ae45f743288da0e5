import type { CommandLineApp } from '@millrace/core/operations'
import { failed, type Finding, ok } from './finding.ts'

/** Whether the registries of the app's codecs answer; nothing for an app without such codecs. */
export async function checkSchemas(app: CommandLineApp): Promise<readonly Finding[]> {
  return Promise.all(
    (app.schemas?.() ?? []).map(async (schemas) => {
      try {
        const { subjects, compatibility } = await schemas.look()
        const demands = compatibility === undefined ? '' : ` New versions must be ${compatibility} by default.`
        return ok('schemas', `${schemas.url()} answers. Subjects: ${subjects}.${demands}`)
      } catch (error) {
        return failed('schemas', error)
      }
    }),
  )
}
