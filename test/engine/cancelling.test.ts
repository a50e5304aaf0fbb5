import { getEventListeners, setMaxListeners } from 'node:events'
import { expect, test } from 'vitest'
import { failed, onEveryCarrier, outcome, pattern, string, text, track } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import type { Pair } from '../support/memory-node.ts'

type Wait = (pair: Pair, signal: AbortSignal) => Promise<unknown>

/** Fills a stream until a write on it waits. */
async function blockedWrite({ client }: Pair, signal: AbortSignal): Promise<unknown> {
  const stream = await client.openStream()
  return stream.write(pattern(10_000), { signal })
}

const waits: readonly (readonly [string, Wait])[] = [
  ['recv', ({ server }, signal) => server.recv({ signal })],
  ['acceptStream', ({ server }, signal) => server.acceptStream({ signal })],
  ['acceptReceiveStream', ({ server }, signal) => server.acceptReceiveStream({ signal })],
  ['accept', async ({ a }, signal) => (await a.listen()).accept({ signal })],
  ['read', async ({ client }, signal) => (await client.openStream()).read(10, { signal })],
  ['readExactly', async ({ client }, signal) => (await client.openStream()).readExactly(10, { signal })],
  ['readToEnd', async ({ client }, signal) => (await client.openStream()).readToEnd(10, { signal })],
  ['write', blockedWrite],
  [
    'send',
    async ({ client }, signal) => {
      for (;;) await client.send(pattern(10_000), { signal })
    },
  ],
  [
    'openStream',
    async ({ client }, signal) => {
      for (;;) await client.openStream({ signal })
    },
  ],
  [
    'openSendStream',
    async ({ client }, signal) => {
      for (;;) await client.openSendStream({ signal })
    },
  ],
]

const options = {
  windowBytes: 100,
  maxStreams: 5,
  limits: { sendQueueBytes: 10_000, receiveQueueBytes: 10_000, drainBufferBytes: 1 },
}

onEveryCarrier('a signal', (make) => {
  test.each(waits)('ends %s with `aborted`, and is forgotten', async (_name, wait) => {
    const pair = await make(options)
    const controller = new AbortController()
    const waiting = track(wait(pair, controller.signal))
    await settle()
    expect(waiting.now).toBe('pending')
    expect(getEventListeners(controller.signal, 'abort').length).toBe(1)
    const reason = new Error('why not')
    controller.abort(reason)
    await settle()
    expect(waiting.now).toEqual(failed('aborted', { name: 'AbortError', cause: reason }))
    expect(getEventListeners(controller.signal, 'abort').length).toBe(0)
    expect(pair.client.isConnected()).toBe(true)
  })

  test.each(waits)('that has fired before stops %s at once', async (_name, wait) => {
    const pair = await make(options)
    expect(await outcome(wait(pair, AbortSignal.abort('too late')))).toEqual(failed('aborted', { cause: 'too late' }))
    expect(pair.client.stats()).toMatchObject({ messagesSent: 0 })
  })

  test.each(waits)('is forgotten when %s fails because the connection is over', async (_name, wait) => {
    const pair = await make(options)
    const { signal } = new AbortController()
    track(wait(pair, signal))
    await settle()
    pair.client.carrier.fail('gone')
    await pair.a.close()
    await settle()
    expect(getEventListeners(signal, 'abort').length).toBe(0)
  })

  test('that lives long gathers no listeners, however often it is used', async () => {
    const { client, server, a, b } = await make()
    const { signal } = new AbortController()
    setMaxListeners(10, signal)
    const listener = await a.listen()
    for (let i = 0; i < 50; i++) {
      await client.send(text('x'), { signal })
      await server.recv({ signal })
      const stream = await client.openStream({ signal })
      await stream.write(text('abc'), { signal })
      await stream.finish()
      const accepted = await server.acceptStream({ signal })
      await accepted.read(1, { signal })
      await accepted.readExactly(1, { signal })
      await accepted.readToEnd(1, { signal })
      accepted[Symbol.dispose]()
      stream[Symbol.dispose]()
      const back = await b.connect(a.localNodeId(), { signal })
      await (await listener.accept({ signal })).end({ signal })
      await back.closed
    }
    expect(getEventListeners(signal, 'abort').length).toBe(0)
  })

  test('of one waiter leaves the others their turn', async () => {
    const { client, server } = await make()
    const controllers = Array.from({ length: 5 }, () => new AbortController())
    const waiting = controllers.map(({ signal }) => track(server.recv({ signal })))
    for (const i of [0, 2, 3]) controllers[i]?.abort()
    await client.send(text('one'))
    await client.send(text('two'))
    await settle()
    const texts = waiting.map(({ now }) => (typeof now === 'object' && 'value' in now ? string(now.value) : 'none'))
    expect(texts).toEqual(['none', 'one', 'none', 'none', 'two'])
  })
})
