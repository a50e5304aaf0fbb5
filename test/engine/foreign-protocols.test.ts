/** Protocols that are not ours: not one byte is added, and none is expected. */
import { describe, expect, test } from 'vitest'
import { failed, outcome, string, text, track } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'
import type { PairOptions } from '../support/memory-node.ts'
import { openUni, rawClient, readAll } from '../support/raw-peer.ts'
import type { RawPair } from '../support/raw-peer.ts'

const ALPN = 'somebody/else/7'

describe.each([true, false])('on another protocol (abortsBlockedStreams: %s)', (abortsBlockedStreams) => {
  const foreign = (options: PairOptions = {}): Promise<RawPair> =>
    rawClient({ alpn: ALPN, abortsBlockedStreams, ...options })

  test('streams carry what was written, both ways, and nothing else', async () => {
    const { raw, connection } = await foreign()
    const [twoWay, oneWay] = [await connection.openStream(), await connection.openSendStream()]
    await twoWay.write(text('two-way'))
    await oneWay.write(text('one-way'))
    await oneWay.finish()
    const seen = await raw.acceptBi()
    expect(string(await readAll(await raw.acceptUni()))).toBe('one-way')
    await seen.send.write(text('answer'))
    expect(string(await twoWay.read())).toBe('answer')
    await twoWay.finish()
    expect(string(await readAll(seen.receive))).toBe('two-way')
    // No control stream, no messages.
    expect(await outcome(raw.acceptUni())).toBe('pending')
  })

  test('streams of the peer are taken as they are, whatever their first bytes', async () => {
    const { raw, connection } = await foreign()
    const stream = await raw.openBi()
    await stream.send.write(Uint8Array.of(0x13, 0xff, 0x00))
    await openUni(raw, 0x12, 0x05)
    expect(await (await connection.acceptStream()).read()).toEqual(Uint8Array.of(0x13, 0xff, 0x00))
    expect(await (await connection.acceptReceiveStream()).readExactly(2)).toEqual(Uint8Array.of(0x12, 0x05))
  })

  test('silence is no reason to give a stream up', async () => {
    const { raw, connection, runtime } = await foreign()
    const silent = await raw.openBi()
    await (await raw.openBi()).send.write(text('later'))
    const accepted = await connection.acceptStream()
    await runtime.advance(120_000)
    await silent.send.write(text('at last'))
    expect(string(await accepted.read())).toBe('at last')
  })

  test('a stream that nobody has written to says nothing when a later one does', async () => {
    const { raw, connection } = await foreign()
    await connection.openStream()
    await (await connection.openStream()).write(text('x'))
    const silent = await raw.acceptBi()
    expect(await outcome(silent.receive.read(1))).toBe('pending')
  })

  test('codes are those of the application, in both directions', async () => {
    const { raw, connection } = await foreign()
    const stream = await connection.openStream()
    await stream.write(text('x'))
    const seen = await raw.acceptBi()
    await seen.receive.read(1)
    const read = track(seen.receive.read(1))
    stream.reset(77)
    await settle()
    expect(read.now).toEqual(failed('stream-reset', { streamCode: 77 }))
    seen.send.reset(2 ** 40)
    expect(await outcome(stream.read())).toEqual(failed('stream-reset', { streamCode: 2 ** 40 }))
    raw.close(2 ** 40, 'a large code')
    expect(await connection.closed).toEqual({
      closeCode: 2 ** 40,
      reason: 'a large code',
      by: 'remote',
      refused: false,
    })
  })

  test('too many waiting streams are refused with code 0', async () => {
    const { raw } = await foreign({ limits: { maxWaitingStreams: 1 } })
    const [first, second] = [await raw.openBi(), await raw.openBi()]
    await first.send.write(text('x'))
    await second.send.write(text('x'))
    expect(await outcome(second.receive.read(1))).toEqual(failed('stream-reset', { streamCode: 0 }))
  })

  test('messages do not exist, and say so', async () => {
    const { connection } = await foreign()
    const unsupported = failed('unsupported', { what: 'messages', backend: 'memory' })
    expect(await outcome(connection.send(text('x')))).toEqual(unsupported)
    expect(await outcome(connection.recv())).toEqual(unsupported)
    expect(await outcome(connection[Symbol.asyncIterator]().next())).toEqual(unsupported)
  })

  test('what the peer’s transport had delivered before it closed can be read at leisure', async () => {
    const { raw, connection } = await foreign({ windowBytes: 100_000 })
    const stream = await raw.openBi()
    await stream.send.write(new Uint8Array(100_000).fill(7))
    await stream.send.finish()
    await openUni(raw, text('also this'))
    await settle()
    raw.close(0, 'done')
    await connection.closed
    const accepted = await connection.acceptStream()
    expect((await accepted.readToEnd(100_000)).length).toBe(100_000)
    const cut = await connection.acceptReceiveStream()
    expect(string(await cut.read())).toBe('also this')
    expect(await outcome(cut.read())).toEqual(failed('connection-closed', { by: 'remote', reason: 'done' }))
    expect(await outcome(connection.acceptStream())).toEqual(failed('connection-closed'))
  })

  test('end() finishes the streams and closes with code 0, without a word of ours', async () => {
    const { raw, connection } = await foreign({ confirmsDelivery: true })
    const stream = await connection.openStream()
    await stream.write(text('all of it'))
    await connection.end()
    expect(string(await readAll((await raw.acceptBi()).receive))).toBe('all of it')
    expect(await raw.closed).toEqual({ closeCode: 0, reason: '', by: 'remote' })
  })
})
