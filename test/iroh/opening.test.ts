/** Streams of the official binding, opened one ahead: which one is used when, and that none stays behind. */
import { describe, expect, test } from 'vitest'
import { AheadOpener } from '../../src/iroh/official/opening.ts'
import { settle } from '../support/manual-runtime.ts'

/** Streams are numbers, in the order in which they are opened; each opens when the test says so. */
function setUp(): {
  opener: AheadOpener<string>
  asked: () => number
  open: () => Promise<void>
  fail: () => Promise<void>
} {
  const waiting: Deferred<string>[] = []
  let count = 0
  const opener = new AheadOpener(() => {
    const opening = deferred()
    waiting.push(opening)
    return opening.promise
  })
  return {
    opener,
    asked: () => waiting.length,
    open: async () => {
      waiting.shift()?.resolve(`stream ${count++}`)
      await settle()
    },
    fail: async () => {
      waiting.shift()?.reject(new Error('it is over'))
      await settle()
    },
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

function deferred(): Deferred<string> {
  let resolve!: (value: string) => void
  let reject!: (error: Error) => void
  const promise = new Promise<string>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

describe('opening ahead', () => {
  test('nothing is opened that nobody has asked for, and then one more', async () => {
    const { opener, asked, open } = setUp()
    expect([opener.takeNow(), asked()]).toEqual([undefined, 0])
    const first = opener.take()
    expect(asked()).toBe(1)
    await open()
    expect([await first, asked(), opener.takeNow()]).toEqual(['stream 0', 1, undefined])
    await open()
    expect([opener.takeNow(), asked(), opener.takeNow()]).toEqual(['stream 1', 1, undefined])
  })

  test('who asks while it is being opened gets it; the next opens one beside it, and none is opened ahead of those', async () => {
    const { opener, asked, open } = setUp()
    void opener.take()
    await open()
    const [second, third] = [opener.take(), opener.take()]
    expect(asked()).toBe(2)
    await open()
    expect([await second, asked(), opener.takeNow()]).toEqual(['stream 1', 1, undefined])
    await open()
    expect([await third, asked()]).toEqual(['stream 2', 1])
    await open()
    expect(opener.takeNow()).toBe('stream 3')
  })

  test('a failure is told to who asked, and to nobody where it was ahead', async () => {
    const { opener, asked, open, fail } = setUp()
    const first = opener.take()
    first.catch(() => {})
    await fail()
    await expect(first).rejects.toThrow('it is over')
    expect(asked()).toBe(0)
    void opener.take()
    await open()
    await fail()
    expect([opener.takeNow(), asked()]).toEqual([undefined, 0])
    void opener.take()
    await open()
    const taker = opener.take()
    taker.catch(() => {})
    await fail()
    await expect(taker).rejects.toThrow('it is over')
  })

  test('what is ahead when the connection ends is let go', async () => {
    const { opener, asked, open } = setUp()
    void opener.take()
    await open()
    opener.close()
    await open()
    expect([opener.takeNow(), asked()]).toEqual([undefined, 0])
  })
})
