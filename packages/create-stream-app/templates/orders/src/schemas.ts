import { z } from 'zod'

export const Customer = z.object({ name: z.string(), card: z.string(), tier: z.enum(['basic', 'gold']) })

export const Order = z.object({ id: z.string(), cents: z.number().int().positive() })

export const Invoice = z.object({ orderId: z.string(), name: z.string(), cents: z.number().int().positive() })
