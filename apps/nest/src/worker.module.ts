import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common'
import { nestLog } from './nest-log.ts'
import { createShop, type Order, type Receipts, type Shop } from './shop.ts'

/** Of the declarations of the shop, for what is injected with them. */
export const SHOP = Symbol('shop')

/** A service with dependencies of its own, which agents use. */
@Injectable()
export class LoggedReceipts implements Receipts {
  readonly #log = new Logger('Receipts')

  async write({ customer, amount }: Order): Promise<void> {
    this.#log.log(`${customer} has bought for ${amount} cents.`)
  }
}

/** Runs the worker as long as the application. */
@Injectable()
export class Worker implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #log = new Logger('Worker')
  readonly #shop: Shop
  #stopped: Promise<void> | undefined

  constructor(@Inject(SHOP) shop: Shop) {
    this.#shop = shop
  }

  async onApplicationBootstrap(): Promise<void> {
    const { app } = this.#shop
    await app.start()
    app.finished().catch((error: unknown) => {
      this.#log.fatal(error)
      process.exitCode = 1
      // As an orchestrator would end it, so that the application closes.
      process.kill(process.pid, 'SIGTERM')
    })
  }

  /** Not awaited here: the server closes meanwhile, and open watches, for which it waits, end with the worker. */
  beforeApplicationShutdown(): void {
    this.#stopped = this.#shop.app.stop()
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#stopped
  }
}

@Module({
  providers: [
    LoggedReceipts,
    { provide: SHOP, useFactory: (receipts: Receipts) => createShop(receipts, nestLog()), inject: [LoggedReceipts] },
    Worker,
  ],
  exports: [SHOP],
})
export class WorkerModule {}
