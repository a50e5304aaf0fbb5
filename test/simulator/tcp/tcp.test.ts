import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Topology } from '../../../src/simulator/network/index.ts'
import type { LinkOptions, NetworkInterface } from '../../../src/simulator/network/index.ts'
import { MAX_SEGMENT_BYTES } from '../../../src/simulator/tcp/sender.ts'
import { ACK, NO_SACKS, RST, TcpSegment } from '../../../src/simulator/tcp/segment.ts'
import { TcpClientSocket, TcpListener } from '../../../src/simulator/tcp/socket.ts'
import type { TcpInterface } from '../../../src/simulator/tcp/socket.ts'
import type { TcpConnection, TcpEnd } from '../../../src/simulator/tcp/connection.ts'
import { TestKernel } from '../support/test-kernel.ts'

const PORT = 443

/** One side: what it was told. */
class Side {
  readonly got: [number, unknown][] = []
  opened = 0
  openedUs = -1
  ended: TcpEnd | undefined
  endedUs = -1
  writable = 0
  readonly #kernel: TestKernel

  constructor(kernel: TestKernel) {
    this.#kernel = kernel
  }

  onOpen(): void {
    this.opened++
    this.openedUs = this.#kernel.nowUs()
  }

  onMessage(payload: unknown): void {
    this.got.push([this.#kernel.nowUs(), payload])
  }

  onWritable(): void {
    this.writable++
  }

  onClosed(reason: TcpEnd): void {
    this.ended = reason
    this.endedUs = this.#kernel.nowUs()
  }
}

/** A client and a server, 20 ms apart. */
class Wire {
  readonly kernel: TestKernel
  readonly topology: Topology
  readonly clientHost: NetworkInterface
  readonly serverHost: NetworkInterface
  readonly listener: TcpListener
  readonly client: Side
  readonly server: Side
  readonly socket: TcpClientSocket
  accepted: TcpConnection | undefined

  constructor(link: LinkOptions = {}, seed = 'test') {
    this.kernel = new TestKernel({ seed })
    this.topology = new Topology(this.kernel, { defaultLatencyMs: 0, defaultPacketLoss: 0 })
    const line = { up: { latencyMs: 10, ...link }, down: { latencyMs: 10, ...link } }
    this.clientHost = this.topology.host('client', { link: line })
    this.serverHost = this.topology.host('server', { link: { up: { latencyMs: 10 }, down: { latencyMs: 10 } } })
    this.client = new Side(this.kernel)
    this.server = new Side(this.kernel)
    const random = this.kernel.random('tcp')
    this.listener = new TcpListener(this.kernel, this.serverHost, random, {
      port: PORT,
      maxConnections: 10,
      accept: (connection) => {
        this.accepted = connection
        return this.server
      },
    })
    const remote = `${this.serverHost.ip.text}:${PORT}`
    this.socket = new TcpClientSocket(this.kernel, this.clientHost, random, remote, this.client)
  }

  /** Writes numbered messages, as fast as there is room, from the client. */
  send(sizes: readonly number[]): void {
    let next = 0
    const pump = (): void => {
      while (next < sizes.length) if (!this.socket.connection.write(next, sizes[next++] as number)) return
    }
    this.client.onWritable = pump
    pump()
  }
}

const opened = (link?: LinkOptions, seed?: string): Wire => {
  const wire = new Wire(link, seed)
  wire.kernel.runFor(seed === undefined ? 1_000_000 : 20_000_000)
  expect(wire.client.opened).toBe(1)
  return wire
}

describe('a TCP connection', () => {
  test('opens in one round trip, and tells both sides', () => {
    const wire = new Wire()
    wire.kernel.runFor(39_999)
    expect([wire.client.opened, wire.server.opened]).toEqual([0, 0])
    wire.kernel.runFor(30_000)
    expect([wire.client.openedUs, wire.server.openedUs]).toEqual([40_000, 60_000])
    expect(wire.socket.connection.rttUs).toBe(40_000)
  })

  test('costs no events while nothing is under way', () => {
    const wire = opened()
    wire.send([100])
    wire.kernel.runFor(1_000_000)
    const { eventsRun } = wire.kernel
    wire.kernel.runFor(86_400_000_000)
    expect(wire.kernel.eventsRun - eventsRun).toBeLessThanOrEqual(2)
    wire.send([100])
    wire.kernel.runFor(1_000_000)
    expect(wire.server.got.length).toBe(2)
  })

  test('doubles its window of ten segments each round trip', () => {
    const wire = opened()
    const startUs = wire.kernel.nowUs()
    // 10 + 20 + 40 segments take three round trips, less the way back of the last.
    wire.send(Array.from({ length: 70 }, () => MAX_SEGMENT_BYTES))
    wire.kernel.runFor(5_000_000)
    const rounds = wire.server.got.map(([atUs]) => Math.round((atUs - startUs - 20_000) / 40_000))
    expect([0, 1, 2].map((round) => rounds.filter((each) => each === round).length)).toEqual([10, 20, 40])
  })

  test('every message arrives once and in order, whatever is lost, doubled, delayed or corrupted', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.nat(),
          packetLoss: fc.double({ min: 0, max: 0.2, noNaN: true }),
          jitterMs: fc.integer({ min: 0, max: 9 }),
          sizes: fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 60 }),
        }),
        ({ seed, packetLoss, jitterMs, sizes }) => {
          const wire = new Wire({ packetLoss, jitterMs, keepOrder: false }, String(seed))
          wire.kernel.runFor(60_000_000)
          if (wire.client.opened === 0) return
          wire.send(sizes)
          wire.kernel.runFor(1_000_000_000)
          expect(wire.server.got.map(([, number]) => number)).toEqual(sizes.map((_, i) => i))
        },
      ),
      { numRuns: 60 },
    )
  })

  test('one lost segment holds up all behind it, for a round trip', () => {
    const wire = opened()
    let dropped = 0
    wire.topology.fabric.rules.add(({ packet }) => {
      const segment = packet.payload as TcpSegment
      if (dropped > 0 || segment.end - segment.seq < 1_000) return 'pass'
      dropped++
      return 'drop'
    })
    const startUs = wire.kernel.nowUs()
    wire.send(Array.from({ length: 8 }, () => MAX_SEGMENT_BYTES))
    wire.kernel.runFor(5_000_000)
    expect(dropped).toBe(1)
    // All eight arrive at one moment: a way, and the round trip in which the loss is noticed.
    expect([...new Set(wire.server.got.map(([atUs]) => atUs - startUs))]).toEqual([60_000])
    expect(wire.socket.connection.snapshot().retransmitted).toBe(1)
  })

  test('a lost lone segment waits for the time-out: a round trip and 200 ms', () => {
    const wire = opened()
    let dropped = 0
    const guard = wire.topology.fabric.rules.add(() => (dropped++ === 0 ? 'drop' : 'pass'))
    const startUs = wire.kernel.nowUs()
    wire.send([500])
    wire.kernel.runFor(5_000_000)
    guard.remove()
    expect(wire.server.got.map(([atUs]) => atUs - startUs)).toEqual([40_000 + 200_000 + 20_000])
    // A probe at the time of the time-out, and not the time-out: the window is smaller by three tenths, not a segment.
    expect(wire.socket.connection.snapshot().windowBytes).toBe(7 * MAX_SEGMENT_BYTES)
  })

  test('goes on after an outage, when the next doubled time-out is over', () => {
    const wire = opened()
    wire.serverHost.isUp = false
    wire.send([500])
    wire.kernel.runFor(3_000_000)
    wire.serverHost.isUp = true
    const upUs = wire.kernel.nowUs()
    wire.kernel.runFor(60_000_000)
    const waitedUs = (wire.server.got[0]?.[0] ?? 0) - upUs
    expect(waitedUs).toBeGreaterThan(0)
    expect(waitedUs).toBeLessThan(4_000_000)
  })

  test('a reader that pauses stops the writer, which goes on when it reads again', () => {
    const wire = opened()
    wire.accepted?.pause()
    wire.send(Array.from({ length: 200 }, () => 60_000))
    wire.kernel.runFor(20_000_000)
    expect(wire.server.got).toEqual([])
    const buffered = wire.socket.connection.snapshot().bufferedBytes
    wire.kernel.runFor(20_000_000)
    expect(wire.socket.connection.snapshot().bufferedBytes).toBe(buffered)
    wire.accepted?.resume()
    wire.kernel.runFor(20_000_000)
    expect(wire.server.got.length).toBe(200)
  })

  test('is refused where nobody serves any more, and reset when the other side has forgotten it', () => {
    const wire = opened()
    wire.listener.refuse()
    wire.kernel.runFor(100_000)
    expect(wire.client.ended).toBe('reset')
    const late = new Side(wire.kernel)
    const remote = `${wire.serverHost.ip.text}:${PORT}`
    const startUs = wire.kernel.nowUs()
    void new TcpClientSocket(wire.kernel, wire.clientHost, wire.kernel.random('tcp'), remote, late)
    wire.kernel.runFor(100_000)
    expect([late.ended, late.endedUs - startUs]).toEqual(['reset', 40_000])
  })

  test('ends in order: what was written before arrives', () => {
    const wire = opened()
    wire.send([500])
    wire.socket.close()
    wire.kernel.runFor(100_000)
    expect([wire.server.got.length, wire.server.ended]).toEqual([1, 'ended'])
  })

  test('cannot be reset or written to by somebody who does not see it', () => {
    const wire = opened()
    const mallory = wire.topology.host('mallory')
    const socket = mallory.bind(0, () => {}, { protocol: 'tcp' })
    // With the right address even, as on a network that lets sources be forged.
    for (const seq of [0, 1, 4_000_000_000]) {
      const forged = new TcpSegment(RST | ACK, seq, seq, 0, 0, NO_SACKS, undefined)
      wire.accepted?.receive(forged)
      wire.socket.connection.receive(forged)
      const data = new TcpSegment(ACK, seq, seq + 10, 0, 0, NO_SACKS, [
        { end: seq + 10, sizeBytes: 10, payload: 'x', isFlushed: false },
      ])
      wire.accepted?.receive(data)
      socket.send(`${wire.serverHost.ip.text}:${PORT}`, data, 10)
    }
    wire.kernel.runFor(1_000_000)
    expect([wire.client.ended, wire.server.ended, wire.server.got]).toEqual([undefined, undefined, []])
  })

  test('a client that has lost its memory gets through all the same', () => {
    const wire = opened()
    // The machine crashed: the same port again, and the server still knows of the old connection.
    wire.socket.destroy()
    const again = new Side(wire.kernel)
    const remote = `${wire.serverHost.ip.text}:${PORT}`
    const port = wire.clientHost.bind(49_152, () => {}, { protocol: 'tcp' })
    port.close()
    const fresh: TcpInterface = { bind: (_port, handler, options) => wire.clientHost.bind(49_152, handler, options) }
    void new TcpClientSocket(wire.kernel, fresh, wire.kernel.random('tcp'), remote, again)
    wire.kernel.runFor(2_000_000)
    expect(again.opened).toBe(1)
    expect(wire.server.ended).toBe('reset')
  })
})
