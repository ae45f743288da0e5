import { testApp } from '@millrace/testing'
import { describe, expect, it } from 'vitest'
import { app, counts, posts } from './app.ts'
import { bookPosts } from './book.ts'
import { independentCount } from './independent-count.ts'

describe('word count, in memory', () => {
  it('counts words', async () => {
    await using t = await testApp(app)
    await t.send(posts, 'a b a')
    await t.settle()
    expect(counts.get('a')).toBe(2)
    expect(counts.get('b')).toBe(1)
    expect(counts.get('c')).toBe(0)
  })

  it.each([1, 3])('counts a book as the independent count does, with %i workers on 8 partitions', async (workers) => {
    await using t = await testApp(app, { partitions: 8 })
    for (let more = 1; more < workers; more++) await t.worker()
    for (const post of bookPosts()) await t.send(posts, post)
    await t.settle()
    const counted = new Map<string, number>()
    for await (const [word, count] of counts.entries()) counted.set(word, count)
    expect(counted).toEqual(new Map(independentCount(bookPosts())))
  })

  it('answers for a word by path and by query, wherever it is', async () => {
    await using t = await testApp(app, { partitions: 8 })
    await t.worker()
    await t.worker()
    await t.send(posts, 'thar she blows she does')
    await t.settle()
    for (const [word, count] of [
      ['thar', 1],
      ['she', 2],
      ['land', 0],
    ] as const) {
      expect(await (await t.fetch(`/count/${word}/`)).json()).toEqual({ [word]: count })
      expect(await (await t.fetch(`/count/?word=${word}`)).json()).toEqual({ [word]: count })
    }
  })

  it('goes on after a clean stop, counting nothing twice', async () => {
    await using t = await testApp(app, { partitions: 8 })
    const second = await t.worker()
    await t.send(posts, 'ahoy ahoy')
    await t.settle()
    await second.stop()
    await t.send(posts, 'ahoy')
    await t.settle()
    expect(counts.get('ahoy')).toBe(3)
  })
})
