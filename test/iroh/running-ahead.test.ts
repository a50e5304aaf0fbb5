/**
 * Writes and ends that are taken at once through the official door: the binding still gets one call after the other, who
 * comes next learns what became of them, and a stream that is blocked meanwhile can still be given up.
 */
import type * as iroh from '@number0/iroh'
import { describe, expect, test } from 'vitest'
import { SendHalf } from '../../src/core/engine/send-half.ts'
import { P2PError } from '../../src/core/errors.ts'
import { ByteCodec } from '../../src/iroh/official/bytes.ts'
import { loadOfficial } from '../../src/iroh/official/load.ts'
import { OfficialSendStream } from '../../src/iroh/official/streams.ts'
import { settle } from '../support/manual-runtime.ts'

const codec = new ByteCodec(await loadOfficial())
const BYTES = Uint8Array.of(1, 2, 3)

interface SetUp {
  readonly stream: OfficialSendStream
  /** What the binding was asked, in order. */
  readonly calls: string[]
  readonly held: Set<object>
  /** Has the oldest call succeed, or fail with a text. */
  readonly answer: (failure?: string) => Promise<void>
}

function setUp(runsAhead = true): SetUp {
  const calls: string[] = []
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = []
  const call = async (what: string): Promise<void> => {
    calls.push(what)
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  }
  const raw = {
    writeAll: (bytes: number[]) => call(`write ${bytes.join()}`),
    finish: () => call('finish'),
    reset: (code: bigint) => call(`reset ${code}`),
    stopped: () => call('stopped').then(() => null),
  } as unknown as iroh.SendStream
  const held = new Set<object>()
  const stream = new OfficialSendStream(raw, {
    codec,
    runsAhead,
    hold: (one) => void held.add(one),
    release: (one) => void held.delete(one),
    failure: (error) => P2PError.of('stream-stopped', String(error), { streamCode: 9 }),
  })
  const answer = async (failure?: string): Promise<void> => {
    const next = waiting.shift()
    if (failure === undefined) next?.resolve()
    else next?.reject(new Error(failure))
    await settle()
  }
  return { stream, calls, held, answer }
}

/** Whether `promise` is settled, and how. */
async function state(promise: Promise<void> | undefined): Promise<string> {
  let what = promise ? 'pending' : 'at once'
  promise?.then(
    () => (what = 'done'),
    (error: unknown) => (what = P2PError.is(error) ? error.code : String(error)),
  )
  await settle()
  return what
}

describe('on our own protocol', () => {
  test('a write and the end are taken at once; the binding has them one after the other', async () => {
    const { stream, calls, held, answer } = setUp()
    expect(await state(stream.writeBehindNow(Uint8Array.of(7), BYTES))).toBe('at once')
    expect(await state(stream.finishNow())).toBe('at once')
    expect([calls, stream.busy]).toEqual([['write 7,1,2,3'], true])
    await answer()
    expect([calls, stream.busy, held.size]).toEqual([['write 7,1,2,3', 'finish'], true, 1])
    const delivery = stream.acknowledged()
    await answer()
    expect([calls.at(-1), stream.busy, held.size]).toEqual(['stopped', false, 0])
    await answer()
    expect(await state(delivery)).toBe('done')
  })

  test('a second write waits for the first, and a large one is not taken at once', async () => {
    const { stream, calls, answer } = setUp()
    void stream.writeNow(BYTES)
    const second = stream.writeNow(Uint8Array.of(4))
    expect([await state(second), calls.length]).toEqual(['pending', 1])
    await answer()
    expect([await state(second), calls]).toEqual(['pending', ['write 1,2,3', 'write 4']])
    await answer()
    expect(await state(second)).toBe('done')
    expect(await state(stream.writeNow(new Uint8Array(16_385)))).toBe('pending')
    await answer()
    expect(await state(stream.writeNow(new Uint8Array(16_384)))).toBe('at once')
  })

  test('what became of it is told to whoever comes next', async () => {
    for (const next of ['writeNow', 'write', 'finishNow', 'finish', 'acknowledged'] as const) {
      const { stream, calls, answer } = setUp()
      void stream.writeNow(BYTES)
      await answer('Stopped(9)')
      const told = next === 'writeNow' || next === 'write' ? stream[next](BYTES) : stream[next]()
      expect([next, await state(told), calls.length]).toEqual([next, 'stream-stopped', 1])
    }
    const { stream, calls, answer } = setUp()
    void stream.writeNow(BYTES)
    void stream.finishNow()
    await answer('Stopped(9)')
    expect([await state(stream.acknowledged()), calls]).toEqual(['stream-stopped', ['write 1,2,3']])
  })

  test.each([true, false])(
    'one that is given up while a write is under way (%s) tells the peer in a frame',
    async (busy) => {
      const { stream, calls, answer } = setUp()
      const frames: number[] = []
      const half = new SendHalf(stream, {
        waits: undefined,
        abortsBlockedStreams: false,
        sendDone: () => {},
        sendReset: (code) => void frames.push(code),
        countSent: () => {},
        announcing: () => {},
      })
      await half.write(BYTES)
      if (!busy) await answer()
      half.reset(5)
      expect([frames, calls]).toEqual([busy ? [5] : [], ['write 1,2,3', 'reset 5']])
    },
  )
})

test('on other protocols, which know no such frame, the binding is waited for', async () => {
  const { stream, calls, answer } = setUp(false)
  const write = stream.writeNow(BYTES)
  expect([await state(write), stream.busy]).toEqual(['pending', false])
  await answer()
  expect(await state(write)).toBe('done')
  const end = stream.finishNow()
  expect([await state(end), calls]).toEqual(['pending', ['write 1,2,3', 'finish']])
  await answer()
  expect(await state(end)).toBe('done')
})
