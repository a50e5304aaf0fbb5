/** Ranges, send and receive buffers, against models that are too simple to be wrong. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { randomStream } from '../../../src/simulator/random.ts'
import { AckTracker } from '../../../src/simulator/transport/acks.ts'
import { ReceiveWindow, SendCredit } from '../../../src/simulator/transport/flow-control.ts'
import { SentPacket, SentPackets } from '../../../src/simulator/transport/packet-space.ts'
import { PacketBody } from '../../../src/simulator/transport/packet.ts'
import { RangeSet } from '../../../src/simulator/transport/range-set.ts'
import { ReceiveBuffer } from '../../../src/simulator/transport/receive-buffer.ts'
import { SendBuffer, Slab } from '../../../src/simulator/transport/send-buffer.ts'
import { pattern } from './pair.ts'

const numbers = (set: RangeSet): number[] => {
  const all: number[] = []
  for (let i = 0; i < set.count; i++) for (let n = set.start(i); n < set.end(i); n++) all.push(n)
  return all
}

describe('RangeSet', () => {
  const operation = fc.oneof(
    fc.record({ what: fc.constant('insert' as const), at: fc.nat(60), length: fc.nat(12) }),
    fc.record({ what: fc.constant('add' as const), at: fc.nat(60), length: fc.constant(1) }),
    fc.record({ what: fc.constant('below' as const), at: fc.nat(60), length: fc.constant(0) }),
    fc.record({ what: fc.constant('lowest' as const), at: fc.constant(0), length: fc.constant(0) }),
  )

  test('is a set of numbers in ranges that do not touch', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const set = new RangeSet()
        let model = new Set<number>()
        for (const { what, at, length } of operations) {
          let added = true
          if (what === 'insert') {
            set.insert(at, at + length)
            for (let n = at; n < at + length; n++) model.add(n)
          } else if (what === 'add') {
            added = set.add(at) === !model.has(at)
            model.add(at)
          } else if (what === 'below') {
            set.removeBelow(at)
            model = new Set([...model].filter((n) => n >= at))
          } else if (set.count > 0) {
            const end = set.end(0)
            set.removeLowest()
            model = new Set([...model].filter((n) => n >= end))
          }
          expect(added).toBe(true)
          expect(numbers(set)).toEqual([...model].sort((a, b) => a - b))
          for (let i = 1; i < set.count; i++) expect(set.start(i)).toBeGreaterThan(set.end(i - 1))
          for (let n = 0; n < 75; n++) expect(set.has(n)).toBe(model.has(n))
          expect(set.covers(at, at + length)).toBe([...Array(length).keys()].every((i) => model.has(at + i)))
          expect(set.limit).toBe(model.size === 0 ? 0 : Math.max(...model) + 1)
        }
      }),
    )
  })
})

describe('SendBuffer and ReceiveBuffer', () => {
  test('bring every byte across, whatever is lost, repeated, acknowledged and in which order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 12 }),
        fc.nat(1_000_000),
        (writes, seed) => {
          const random = randomStream(BigInt(seed), 'fate')
          const total = writes.reduce((sum, length) => sum + length, 0)
          const bytes = pattern(total)
          const send = new SendBuffer()
          const receive = new ReceiveBuffer()
          const received: Uint8Array[] = []
          let written = 0
          let finSent = false
          let sound = true
          let steps = 0
          const waiting = writes.slice()
          const late: (() => void)[] = []
          while (!(finSent && send.isAcked && receive.readTo === total)) {
            const fate = random.nextBelow(100)
            const budget = 30 + random.nextBelow(1_400)
            const next = waiting.shift()
            if (next !== undefined) {
              send.write(bytes, written, next)
              written += next
            }
            const closed = waiting.length === 0
            if (send.hasPending || (closed && !finSent)) {
              const frame = send.nextFrame(4, budget, closed)
              const { source, start, offset, length } = frame
              const sent = source.subarray(start, start + length)
              sound &&= frame.sizeBytes <= budget && Buffer.compare(sent, bytes.subarray(offset, offset + length)) === 0
              finSent ||= frame.fin
              const arrive = (): void => {
                receive.insert(frame)
                send.acknowledge(frame.offset, frame.length)
              }
              // One in five is lost, one in five arrives after others, and one in ten twice.
              if (fate < 20) send.retransmit(frame.offset, frame.length)
              else if (fate < 40) late.push(arrive)
              else arrive()
              if (fate >= 90) late.push(arrive)
            } else {
              late.shift()?.()
            }
            if (fate % 7 === 0) late.shift()?.()
            const part = receive.read(1 + random.nextBelow(2_000))
            if (part) received.push(part)
            if (++steps > 100_000) throw new Error('it does not end')
          }
          expect(sound).toBe(true)
          expect(Buffer.compare(Buffer.concat(received), bytes)).toBe(0)
          expect(send.unackedBytes).toBe(0)
        },
      ),
    )
  })

  test('what is in one chunk is sent without a copy', () => {
    const send = new SendBuffer()
    send.write(pattern(5_000), 0, 5_000)
    const frames = [send.nextFrame(0, 1_200, true), send.nextFrame(0, 1_200, true)]
    expect(frames[0]?.source).toBe(frames[1]?.source)
    expect(frames.map((frame) => frame.start)).toEqual([0, frames[0]?.length])
  })

  test('small writes share a datagram', () => {
    const send = new SendBuffer()
    for (let i = 0; i < 10; i++) send.write(pattern(1_000), i * 100, 100)
    const frame = send.nextFrame(0, 1_170, true)
    expect([frame.length, frame.fin]).toEqual([1_000, true])
    expect(frame.source.slice(frame.start, frame.start + frame.length)).toEqual(pattern(1_000))
  })

  test('the length is written only where the frame does not fill the packet', () => {
    const send = new SendBuffer()
    send.write(pattern(2_000), 0, 2_000)
    // Type and stream; then an offset of two bytes too, and a length of two.
    expect(send.nextFrame(4, 1_000, false)).toMatchObject({ length: 998, sizeBytes: 1_000 })
    expect(send.nextFrame(4, 2_000, true)).toMatchObject({ offset: 998, length: 1_002, sizeBytes: 1_008, fin: true })
  })
})

describe('flow control', () => {
  test('grants an eighth of the window at a time, and notices who takes more', () => {
    const window = new ReceiveWindow(800)
    expect(window.receive(800)).toBe(true)
    window.release(99)
    expect(window.shouldGrant).toBe(false)
    window.release(1)
    expect(window.shouldGrant).toBe(true)
    expect([window.grant(), window.shouldGrant]).toEqual([900, false])
    expect([window.receive(100), window.receive(1)]).toEqual([true, false])
  })

  test('credit only grows', () => {
    const credit = new SendCredit(10)
    credit.use(10)
    expect([credit.available, credit.raise(5), credit.raise(15), credit.available]).toEqual([0, false, true, 5])
  })
})

describe('AckTracker', () => {
  test('is due at every second packet, and 25 ms after a lone one', () => {
    const acks = new AckTracker(25_000)
    acks.register(0, 100)
    acks.received(0, true, 100)
    expect([acks.due, acks.deadlineUs]).toEqual([false, 25_100])
    acks.register(1, 200)
    acks.received(1, true, 200)
    expect(acks.due).toBe(true)
    expect([acks.delayUs(250), acks.take(), acks.due, acks.deadlineUs]).toEqual([50, [0, 2], false, Infinity])
    acks.register(2, 300)
    acks.received(2, true, 300)
    acks.onDeadline()
    expect(acks.due).toBe(true)
  })

  test('is due at once behind a gap, and for what fills it', () => {
    const acks = new AckTracker(25_000)
    for (const number of [0, 2, 1]) {
      acks.take()
      acks.register(number, 0)
      acks.received(number, true, 0)
      expect(acks.due).toBe(number !== 0)
    }
  })

  test('asks nothing for packets that ask nothing, until there are many of them', () => {
    const acks = new AckTracker(25_000)
    for (let i = 0; i < 11; i++) {
      acks.register(i, 0)
      acks.received(i, false, 0)
      expect([acks.due, acks.deadlineUs]).toEqual([false, Infinity])
      if (i < 10) acks.beforeOtherPacket()
    }
    expect(acks.due).toBe(false)
    acks.beforeOtherPacket()
    expect(acks.due).toBe(true)
  })

  test('knows copies, also of what it has acknowledged long ago, and forgets only what is very old', () => {
    const acks = new AckTracker(25_000)
    expect([acks.register(5, 0), acks.register(5, 0)]).toEqual([true, false])
    acks.onAckAcknowledged(5)
    expect(acks.isEmpty).toBe(true)
    expect(acks.register(5, 0)).toBe(false)
    for (let i = 0; i < 100; i++) acks.register(10 + 2 * i, 0)
    expect(acks.take().length).toBe(128)
    expect([acks.register(11, 0), acks.register(5, 0), acks.register(207, 0)]).toEqual([false, false, true])
  })

  test('takes for copies what is 129 numbers or more behind the newest', () => {
    const acks = new AckTracker(25_000)
    for (const number of [0, 200]) acks.register(number, 0)
    expect([acks.register(71, 0), acks.register(72, 0), acks.register(72, 0)]).toEqual([false, true, false])
  })

  test('remembers a window of numbers, and no more, in whatever order they come', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -160, max: 12 }), { minLength: 1, maxLength: 400 }), (steps) => {
        const acks = new AckTracker(25_000)
        const arrived = new Set<number>()
        let largest = -1
        for (const step of steps) {
          const number = Math.max(0, largest + step)
          const isNew = number > largest - 129 && !arrived.has(number)
          expect(acks.register(number, 0)).toBe(isNew)
          if (!isNew) continue
          arrived.add(number)
          const before = Math.max(largest, 0)
          largest = Math.max(largest, number)
          acks.received(number, true, 0)
          let missing = 0
          for (let between = Math.max(before + 1, largest - 128); between < number; between++) {
            if (!arrived.has(between)) missing++
          }
          expect(acks.due).toBe(missing > 0 || number < before)
          acks.take()
        }
      }),
    )
  })
})

describe('SentPackets', () => {
  test('is a map by number, whatever is taken in which order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(300), fc.boolean()), { maxLength: 300 }), (operations) => {
        const packets = new SentPackets()
        const model = new Map<number, SentPacket>()
        let next = 0
        for (const [skip, take, counted] of operations) {
          next += skip
          const body = new PacketBody(0, next, counted, undefined, undefined, undefined)
          const packet = new SentPacket(next++, 0, counted ? 1_200 : 0, body)
          packets.push(packet)
          model.set(packet.number, packet)
          expect(packets.take(take)).toBe(model.get(take))
          model.delete(take)
          expect(packets.inFlight).toBe([...model.values()].filter(({ sizeBytes }) => sizeBytes > 0).length)
          for (const number of model.keys()) expect(number >= packets.from && number < packets.to).toBe(true)
          expect(packets.get(next - 1)).toBe(model.get(next - 1))
        }
      }),
      { numRuns: 50 },
    )
  })
})

describe('buffers that share a slab', () => {
  test('hand out what was written to each, and never change it again', () => {
    const slab = new Slab()
    const buffers = [new SendBuffer(slab), new SendBuffer(slab)]
    const written: number[][] = [[], []]
    const frames: { readonly of: number; readonly frame: ReturnType<SendBuffer['nextFrame']> }[] = []
    for (let i = 0; i < 400; i++) {
      const of = (i * 7) % 3 === 0 ? 0 : 1
      const buffer = buffers[of] as SendBuffer
      const bytes = Uint8Array.from({ length: 1 + ((i * 37) % 300) }, (_, at) => (i + at) % 251)
      buffer.write(bytes, 0, bytes.length)
      written[of]?.push(...bytes)
      bytes.fill(255)
      if (i % 4 === 3) for (; buffer.hasPending;) frames.push({ of, frame: buffer.nextFrame(of, 1_000, false) })
      if (i % 40 === 39) buffer.acknowledge(0, 1_000)
    }
    for (const [of, buffer] of buffers.entries()) {
      for (; buffer.hasPending;) frames.push({ of, frame: buffer.nextFrame(of, 1_000, false) })
    }
    const read: number[][] = [[], []]
    for (const { of, frame } of frames)
      read[of]?.push(...frame.source.subarray(frame.start, frame.start + frame.length))
    expect(read).toEqual(written)
  })
})
