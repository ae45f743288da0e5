export { honoDriver } from './lib/hono-driver.ts'
