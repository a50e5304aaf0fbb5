import { expect, test } from 'vitest'
import { digest, failed, onEveryCarrier, outcome, pattern, string, text, track } from '../support/engine-suite.ts'
import { settle } from '../support/manual-runtime.ts'

onEveryCarrier('datagrams', (make) => {
  test('arrive as they were sent, both ways, and are counted', async () => {
    const { client, server } = await make()
    for (const size of [0, 1, 1200]) {
      client.sendDatagram(pattern(size))
      expect(digest(await server.recvDatagram())).toBe(digest(pattern(size)))
    }
    server.sendDatagram(text('back'))
    expect(string(await client.recvDatagram())).toBe('back')
    expect(client.stats()).toMatchObject({ datagramsSent: 3, datagramsReceived: 1, bytesSent: 1201, bytesReceived: 4 })
    expect(server.stats()).toMatchObject({ datagramsSent: 1, datagramsReceived: 3, bytesSent: 4, bytesReceived: 1201 })
  })

  test('are copied, and carry no byte of ours on any protocol', async () => {
    const { client, server } = await make()
    const bytes = pattern(100)
    client.sendDatagram(bytes)
    bytes.fill(0)
    expect(digest(await server.carrier.readDatagram())).toBe(digest(pattern(100)))
  })

  test('of more than the path carries are refused, and disturb nobody', async () => {
    const { client, server } = await make({ maxDatagramBytes: 1000 })
    expect(client.maxDatagramSize).toBe(1000)
    expect(() => client.sendDatagram(pattern(1001))).toThrow(
      expect.objectContaining({ code: 'message-too-large', size: 1001, max: 1000 }),
    )
    client.sendDatagram(pattern(1000))
    expect((await server.recvDatagram()).length).toBe(1000)
    expect(() => client.sendDatagram('text' as unknown as Uint8Array)).toThrow(
      expect.objectContaining({ code: 'invalid-configuration' }),
    )
  })

  test('are unsupported where the peer takes none, and the error says what to do instead', async () => {
    const { client } = await make({ maxDatagramBytes: 0 })
    expect(client.maxDatagramSize).toBe(0)
    expect(() => client.sendDatagram(text('x'))).toThrow(/takes no datagrams; send messages/)
  })

  test('that nobody asks for stay with the carrier, which drops the oldest', async () => {
    const { client, server } = await make()
    for (let i = 0; i < 1000; i++) client.sendDatagram(Uint8Array.of(i >> 8, i & 0xff))
    await settle()
    const first = await server.recvDatagram()
    expect((first[0] ?? 0) * 256 + (first[1] ?? 0)).toBeGreaterThan(900)
  })

  test('are given to those who wait in the order of their calls, whichever handle they hold', async () => {
    const { client, server } = await make()
    const clone = server.clone()
    const waiting = [server.recvDatagram(), clone.recvDatagram(), server.recvDatagram()].map(track)
    await settle()
    client.sendDatagram(text('1'))
    await settle()
    expect(waiting.map(({ now }) => now === 'pending')).toEqual([false, true, true])
    client.sendDatagram(text('2'))
    client.sendDatagram(text('3'))
    await settle()
    expect(waiting.map(({ now }) => now !== 'pending' && 'value' in now && now.value.length)).toEqual([1, 1, 1])
    await clone.end()
  })

  test('a wait that was given up loses none', async () => {
    const { client, server } = await make()
    const controller = new AbortController()
    const waiting = track(server.recvDatagram({ signal: controller.signal }))
    await settle()
    controller.abort(new Error('enough'))
    await settle()
    expect(waiting.now).toEqual(failed('aborted'))
    client.sendDatagram(text('kept'))
    expect(string(await server.recvDatagram())).toBe('kept')
  })

  test('end when the connection does: waits fail, iterators return, and what had come can be read', async () => {
    const { client, server } = await make()
    const seen: (string | undefined)[] = []
    const reading = track(
      (async () => {
        for await (const datagram of server.datagrams) seen.push(string(datagram))
        return 'returned'
      })(),
    )
    client.sendDatagram(text('one'))
    await settle()
    const waiting = track(client.recvDatagram())
    client.close(5, 'enough')
    await settle()
    expect(seen).toEqual(['one'])
    expect(reading.now).toEqual({ value: 'returned' })
    expect(waiting.now).toEqual(failed('connection-closed'))
    expect(() => client.sendDatagram(text('x'))).toThrow(expect.objectContaining({ code: 'connection-closed' }))
    expect(await outcome(server.recvDatagram())).toEqual(failed('connection-closed', { closeCode: 5 }))
    expect([client.maxDatagramSize, server.maxDatagramSize]).toEqual([0, 0])
  })
})
