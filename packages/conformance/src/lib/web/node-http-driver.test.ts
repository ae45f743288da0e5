import { nodeHttpDriver } from './node-http-driver.ts'
import { webSuite } from './web-suite.ts'

webSuite('node:http', nodeHttpDriver)
