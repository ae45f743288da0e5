export { createProject, ScaffoldError, type ProjectPlan } from './lib/create-project.ts'
export { TEMPLATES, type TemplateName } from './lib/templates.ts'
export { INSTALLERS, type Installer } from './lib/installers.ts'
