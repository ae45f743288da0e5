import {
  BadRequestException,
  Body,
  Controller,
  Get,
  HttpCode,
  Inject,
  Module,
  Post,
  ServiceUnavailableException,
} from '@nestjs/common'
import { Order, type Shop } from './shop.ts'
import { SHOP, WorkerModule } from './worker.module.ts'

@Controller()
export class ShopController {
  readonly #shop: Shop

  constructor(@Inject(SHOP) shop: Shop) {
    this.#shop = shop
  }

  @Post('orders')
  @HttpCode(202)
  async order(@Body() body: unknown): Promise<{ readonly accepted: boolean }> {
    const order = Order.safeParse(body)
    if (!order.success) throw new BadRequestException(order.error.message)
    await this.#shop.orders.send({ key: order.data.customer, value: order.data })
    return { accepted: true }
  }

  @Get('ready')
  async ready(): Promise<{ readonly ready: boolean }> {
    const { status } = await this.#shop.app.web.fetch(new Request('http://localhost/health/ready'))
    if (status !== 200) throw new ServiceUnavailableException('The worker is not ready.')
    return { ready: true }
  }
}

@Module({ imports: [WorkerModule], controllers: [ShopController] })
export class AppModule {}
