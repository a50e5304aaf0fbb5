import { ReadableStream, WritableStream } from 'node:stream/web'
import { expect, test } from 'vitest'
import type { P2PStream } from '../../src/core/stream.ts'
import { digest, failed, onEveryCarrier, outcome, pattern, string, text } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import type { Pair } from '../support/memory-node.ts'

async function streamPair({ client, server }: Pair): Promise<{ ours: P2PStream; theirs: P2PStream }> {
  const ours = await client.openStream()
  await ours.write(text('!'))
  const theirs = await server.acceptStream()
  await theirs.readExactly(1)
  return { ours, theirs }
}

onEveryCarrier('the WHATWG views of a stream', (make) => {
  test('carry bytes and both ends', async () => {
    const { ours, theirs } = await streamPair(await make({ windowBytes: 1000 }))
    const writer = ours.writable.getWriter()
    const writing = (async (): Promise<void> => {
      for (let i = 0; i < 10; i++) await writer.write(pattern(700, i))
      await writer.close()
    })()
    const chunks: Uint8Array[] = []
    for await (const chunk of theirs.readable) chunks.push(chunk)
    await writing
    expect(digest(Buffer.concat(chunks))).toBe(
      digest(Buffer.concat(Array.from({ length: 10 }, (_, i) => pattern(700, i)))),
    )
  })

  test('are the same object every time', async () => {
    const { ours } = await streamPair(await make())
    expect(ours.readable).toBe(ours.readable)
    expect(ours.writable).toBe(ours.writable)
  })

  test('pipe, with back-pressure', async () => {
    const pair = await make({ windowBytes: 1000 })
    const { ours, theirs } = await streamPair(pair)
    let pulled = 0
    const source = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          if (pulled === 100) controller.close()
          else controller.enqueue(pattern(1000, pulled++))
        },
      },
      { highWaterMark: 0 },
    )
    const piping = source.pipeTo(ours.writable)
    await settle()
    const before = pulled
    expect(before).toBeLessThan(6)
    await settle()
    expect(pulled).toBe(before)
    const chunks: Uint8Array[] = []
    await theirs.readable.pipeTo(new WritableStream({ write: (chunk) => void chunks.push(chunk) }))
    await piping
    expect(digest(Buffer.concat(chunks))).toBe(
      digest(Buffer.concat(Array.from({ length: 100 }, (_, i) => pattern(1000, i)))),
    )
  })

  test('echo through pipeTo of one stream into itself', async () => {
    const { ours, theirs } = await streamPair(await make({ windowBytes: 1000 }))
    const echo = theirs.readable.pipeTo(theirs.writable)
    const writing = ours.write(pattern(20_000)).then(() => ours.finish())
    expect(digest(await ours.readToEnd(20_000))).toBe(digest(pattern(20_000)))
    await Promise.all([echo, writing])
  })

  test('fill the reader’s own buffers', async () => {
    const { ours, theirs } = await streamPair(await make())
    await ours.write(pattern(100))
    const reader = theirs.readable.getReader({ mode: 'byob' })
    const first = await reader.read(new Uint8Array(30))
    expect(digest(first.value)).toBe(digest(pattern(100).subarray(0, 30)))
    // What did not fit comes with the next reads.
    const second = await reader.read(new Uint8Array(200))
    expect(digest(second.value)).toBe(digest(pattern(100).subarray(30)))
    const third = reader.read(new Uint8Array(5))
    await ours.finish()
    expect((await third).done).toBe(true)
  })

  test('do not take away bytes that the application has read', async () => {
    const { ours, theirs } = await streamPair(await make())
    await ours.write(pattern(100))
    await ours.finish()
    const head = await theirs.read(10)
    const rest: Uint8Array[] = []
    for await (const chunk of theirs.readable) rest.push(chunk)
    expect(digest(head)).toBe(digest(pattern(100).subarray(0, 10)))
    expect(digest(Buffer.concat(rest))).toBe(digest(pattern(100).subarray(10)))
  })

  test('do not take away bytes that come later, when the view is left half-way', async () => {
    const { ours, theirs } = await streamPair(await make({ windowBytes: 200_000 }))
    await ours.write(pattern(150_000))
    await ours.finish()
    await settle()
    // One large chunk from the carrier, of which `read` takes a part and the view the next.
    const head = await theirs.read(100_000)
    const reader = theirs.readable.getReader()
    const { value } = await reader.read()
    reader.releaseLock()
    const tail = await theirs.readToEnd(150_000)
    expect(digest(Buffer.concat([head ?? pattern(0), value ?? pattern(0), tail]))).toBe(digest(pattern(150_000)))
  })

  test('read nothing ahead of their reader', async () => {
    const pair = await make({ windowBytes: 10_000 })
    const { ours, theirs } = await streamPair(pair)
    await ours.write(pattern(5000))
    expect(theirs.readable).toBeInstanceOf(ReadableStream)
    await settle()
    expect(pair.client.carrier.outstandingBytes).toBe(5000)
  })

  test('cancelling is stop(0), also with a read under way', async () => {
    const pair = await make()
    const { ours, theirs } = await streamPair(pair)
    const reader = theirs.readable.getReader()
    const read = reader.read()
    await settle()
    await reader.cancel('enough')
    expect(await read).toEqual({ done: true, value: undefined })
    await settle()
    expect(await outcome(ours.write(text('x')))).toEqual(failed('stream-stopped', { streamCode: 0 }))
  })

  test('aborting is reset(0), also with a write under way', async () => {
    const pair = await make({ windowBytes: 100 })
    const { ours, theirs } = await streamPair(pair)
    const writer = ours.writable.getWriter()
    writer.closed.catch(() => {})
    const write = writer.write(pattern(1000))
    expect(await outcome(write)).toBe('pending')
    const aborted = outcome(writer.abort('enough'))
    expect(await outcome(write)).toHaveProperty('error')
    expect(await aborted).toHaveProperty('value')
    expect(await outcome(theirs.readToEnd(1000))).toEqual(failed('stream-reset', { streamCode: 0 }))
  })

  test('fail with the stream’s own error', async () => {
    const pair = await make()
    const { ours, theirs } = await streamPair(pair)
    const read = theirs.readable.getReader().read()
    const back = outcome(read)
    ours.reset(5)
    expect(await back).toEqual(failed('stream-reset', { streamCode: 5 }))
    ours.stop(6)
    await settle()
    const writer = theirs.writable.getWriter()
    writer.closed.catch(() => {})
    expect(await outcome(writer.write(text('x')))).toEqual(failed('stream-stopped', { streamCode: 6 }))
  })

  test('one-way streams have the one view they need', async () => {
    const { client, server } = await make()
    const out = await client.openSendStream()
    const writer = out.writable.getWriter()
    await writer.write(text('one-way'))
    await writer.close()
    const received = await server.acceptReceiveStream()
    const chunks: Uint8Array[] = []
    for await (const chunk of received.readable) chunks.push(chunk)
    expect(string(Buffer.concat(chunks))).toBe('one-way')
  })
})
