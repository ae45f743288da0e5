/// <reference types="node" preserve="true" />
export { honoDriver, type HonoApp, type HonoBindings } from './lib/hono-driver.ts'
