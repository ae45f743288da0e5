/// <reference types="node" preserve="true" />
export { honoDriver } from './lib/hono-driver.ts'
