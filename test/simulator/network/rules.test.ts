import { describe, expect, test } from 'vitest'
import type { LinkVerdict } from '../../../src/simulator/network/index.ts'
import { failure, pair } from './support.ts'

/** Sends 1, 2 and 3, a millisecond apart, over 10 + 5 ms, and says what arrives when. */
function run(rule: (payload: number, link: string) => LinkVerdict, second?: () => LinkVerdict) {
  const { kernel, fabric, alice, bob } = pair({ latencyMs: 10 }, {}, { down: { latencyMs: 5 } })
  fabric.rules.add(({ packet, link }) => rule(Number(packet.payload), link.name))
  if (second) fabric.rules.add(second)
  for (const payload of [1, 2, 3]) {
    kernel.schedule(payload * 1000, () => alice.socket.send(bob.socket.localAddress, payload, 1))
  }
  kernel.run()
  const arrivals = bob.arrivals.map(({ atUs, packet }) => `${String(packet.payload)} at ${atUs / 1000}`)
  return { arrivals, dropped: fabric.dropped, links: fabric.graph.links().map((link) => link.snapshot()) }
}

const down = 'internet>bob'

describe('rules', () => {
  test('pass changes nothing', () => {
    expect(run(() => 'pass').arrivals).toEqual(['1 at 16', '2 at 17', '3 at 18'])
  })

  test('drop', () => {
    const { arrivals, dropped, links } = run((payload, link) => (payload === 2 && link === down ? 'drop' : 'pass'))
    expect(arrivals).toEqual(['1 at 16', '3 at 18'])
    expect(dropped).toEqual({ rule: 1 })
    expect(links.find(({ to }) => to === 'bob')?.dropped).toEqual({ rule: 1 })
  })

  test('corrupt marks the packet, and no other', () => {
    const { kernel, fabric, alice, bob } = pair({ latencyMs: 10 })
    fabric.rules.add(({ packet }) => (packet.payload === 2 ? 'corrupt' : 'pass'))
    for (const payload of [1, 2, 3]) alice.socket.send(bob.socket.localAddress, payload, 1)
    kernel.run()
    expect(bob.arrivals.map(({ packet }) => packet.isCorrupted)).toEqual([false, true, false])
  })

  test('delay lets others overtake', () => {
    const { arrivals } = run((payload, link) => (payload === 1 && link === down ? { delayMs: 1.5 } : 'pass'))
    expect(arrivals).toEqual(['2 at 17', '1 at 17.5', '3 at 18'])
  })

  test('copies come besides, at once or later', () => {
    const { arrivals } = run((payload, link) => {
      if (link !== down || payload === 2) return 'pass'
      return payload === 1 ? { copies: 2 } : { copies: 1, delayMs: 7 }
    })
    expect(arrivals).toEqual(['1 at 16', '1 at 16', '1 at 16', '2 at 17', '3 at 18', '3 at 25'])
  })

  test('the first that does not pass decides', () => {
    const { arrivals } = run(
      (payload) => (payload === 1 ? { delayMs: 0 } : 'pass'),
      () => 'drop',
    )
    expect(arrivals).toEqual(['1 at 16'])
  })

  test('a rule sees the packet, the link, the sender and the time', () => {
    const { kernel, fabric, alice, bob } = pair({ latencyMs: 10 })
    const seen: unknown[] = []
    fabric.rules.add(({ packet, link, origin, atUs }) => {
      seen.push([String(packet.destination), packet.sizeBytes, link.name, origin, atUs])
      return 'pass'
    })
    alice.socket.send(bob.socket.localAddress, 0, 42)
    kernel.run()
    expect(seen).toEqual([
      ['198.18.0.2:7000', 42, 'alice>internet', 'alice', 0],
      ['198.18.0.2:7000', 42, 'internet>bob', 'alice', 10_000],
    ])
  })

  test('a guard takes its rule away, once, and by using', () => {
    const { kernel, fabric, alice, bob } = pair({})
    const send = (payload: string): void => {
      alice.socket.send(bob.socket.localAddress, payload, 1)
      kernel.run()
    }
    {
      using guard = fabric.rules.add(() => 'drop')
      expect(guard).toBeDefined()
      send('in the scope')
    }
    send('after it')
    const one = fabric.rules.add(() => 'drop')
    const two = fabric.rules.add(() => 'drop')
    one.remove()
    one.remove()
    expect(fabric.rules.size).toBe(1)
    send('one is left')
    two.remove()
    send('none is left')
    expect(bob.payloads()).toEqual(['after it', 'none is left'])
  })

  test.each([
    { delayMs: -1 },
    { delayMs: Number.NaN },
    { delayMs: '5' as never },
    { copies: 0 },
    { copies: 101 },
    { copies: 1.5 },
  ])('%j is no verdict', (verdict) => {
    const { fabric, alice, bob } = pair({})
    fabric.rules.add(() => verdict)
    expect(failure(() => alice.socket.send(bob.socket.localAddress, 0, 1))).toMatch(/verdict\.(delayMs|copies)/)
  })
})
