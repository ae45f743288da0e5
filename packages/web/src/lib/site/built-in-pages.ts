import type { BuiltInDeps } from '../built-in/built-in-deps.ts'
import { figurePages } from '../built-in/figure-pages.ts'
import { healthPages } from '../built-in/health.ts'
import { routerPages } from '../built-in/router-pages.ts'
import { tablePages } from '../built-in/table-pages.ts'
import { actionPages, deadLetterPages } from '../dashboard/action-pages.ts'
import { Assets } from '../dashboard/assets.ts'
import { dashboardPages } from '../dashboard/dashboard-pages.ts'
import { livePages } from '../dashboard/live-pages.ts'
import { topicPages } from '../dashboard/topic-pages.ts'
import { verbsOf } from '../pages/verbs.ts'
import type { Page } from './page-book.ts'

/** The pages that every site has. */
export function builtInPages(deps: BuiltInDeps): readonly Page[] {
  return [
    dashboardPages(deps, new Assets()),
    healthPages(deps),
    figurePages(deps),
    livePages(deps),
    tablePages(deps),
    routerPages(deps),
    deadLetterPages(deps),
    topicPages(deps),
    actionPages(deps),
  ].flatMap((pages) =>
    Object.entries(pages).map(([path, { help, page }]) => ({ path, help, verbs: verbsOf(path, page), builtIn: true })),
  )
}
