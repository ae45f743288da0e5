import { webSuite } from '@millrace/conformance'
import { honoDriver } from './hono-driver.ts'

webSuite('hono', honoDriver)
