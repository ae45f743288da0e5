import 'reflect-metadata'
import { ConsoleLogger, Logger } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { AppModule } from './app.module.ts'
import { siteOf } from './mount.ts'
import type { Shop } from './shop.ts'
import { SHOP } from './worker.module.ts'

const nest = await NestFactory.create(AppModule, { logger: new ConsoleLogger({ json: true }) })
// SIGINT and SIGTERM close the application, and with it the worker.
nest.enableShutdownHooks()
// Before Nest's own middleware, which would read the bodies.
nest.use('/stream', siteOf(nest.get<Shop>(SHOP).app))
await nest.listen(Number(process.env['PORT'] ?? 3000), process.env['HOST'] ?? '127.0.0.1')
new Logger('Shop').log(`The shop is open at ${await nest.getUrl()}`)
