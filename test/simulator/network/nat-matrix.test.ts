import { describe, expect, test } from 'vitest'
import {
  Fabric,
  NAT_BEHAVIOURS,
  type NatBehaviour,
  type NatOptions,
  natPreset,
  type NatPresetName,
  type SocketAddress,
} from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'

interface Probe {
  readonly kind: 'hello' | 'probe' | 'answer'
}

interface Outcome {
  /** Somebody's probe was answered from the address it was sent to. */
  readonly isDirect: boolean
  /** A's probes reached B's socket, B's reached A's. */
  readonly aToB: boolean
  readonly bToA: boolean
}

/**
 * Two hosts, each behind a NAT of its own, learn their outside addresses from a public host, tell each other, and probe
 * the other's address for a while, each answering what it receives. As in QUIC (RFC 9000, 8.2) a path counts when the
 * answer comes from the very address that was probed.
 */
function punch(natA: NatOptions, natB: NatOptions, seed: string): Outcome {
  const kernel = new TestKernel({ seed })
  const fabric = new Fabric(kernel)
  const line = { up: { latencyMs: 10 }, down: { latencyMs: 10 } }
  const learnt: SocketAddress[] = []
  const reflector = fabric.attach('reflector').bind(1, ({ source }) => learnt.push(source))
  const sides = (['a', 'b'] as const).map((name, i) => {
    const lan = fabric.addLan(`home-${name}`, { nat: i === 0 ? natA : natB, ...line })
    const side = { probesReceived: 0, answered: false, target: reflector.localAddress }
    const socket = fabric.attach(name, { lan }).bind(7000, ({ source, payload }) => {
      const { kind } = payload as Probe
      if (kind === 'probe') {
        side.probesReceived++
        socket.send(source, { kind: 'answer' }, 50)
      } else if (source === side.target) {
        side.answered = true
      }
    })
    return { side, socket }
  })
  const [a, b] = sides
  if (!a || !b) throw new Error('two sides')
  a.socket.send(reflector.localAddress, { kind: 'hello' }, 50)
  kernel.run()
  b.socket.send(reflector.localAddress, { kind: 'hello' }, 50)
  kernel.run()
  const [outsideA, outsideB] = learnt
  if (!outsideA || !outsideB) throw new Error('the reflector was not reached')
  a.side.target = outsideB
  b.side.target = outsideA
  for (let round = 0; round < 5; round++) {
    for (const { side, socket } of [a, b]) socket.send(side.target, { kind: 'probe' }, 50)
    kernel.runFor(100_000)
  }
  return {
    isDirect: a.side.answered || b.side.answered,
    aToB: b.side.probesReceived > 0,
    bToA: a.side.probesReceived > 0,
  }
}

const random = (mapping: NatBehaviour, filtering: NatBehaviour): NatOptions => ({
  mapping,
  filtering,
  portAllocation: 'random',
})

/** Whether probes from behind `from` to the learnt address of `to` can become a path. */
function isAdmitted(from: NatOptions, to: NatOptions): boolean {
  if (to.mapping !== 'endpoint-independent') return false
  return to.filtering !== 'address-and-port-dependent' || from.mapping === 'endpoint-independent'
}

describe('two hosts behind one NAT each, random ports, no hairpinning', () => {
  const nats = NAT_BEHAVIOURS.flatMap((mapping) => NAT_BEHAVIOURS.map((filtering) => random(mapping, filtering)))
  const short = ({ mapping, filtering }: NatOptions): string => `${mapping} / ${filtering}`

  for (const natA of nats) {
    test(`${short(natA)} against all nine`, () => {
      const seen = nats.map((natB) => `${short(natB)}: ${String(punch(natA, natB, 'seed').isDirect)}`)
      const rule = nats.map((natB) => `${short(natB)}: ${String(isAdmitted(natA, natB) || isAdmitted(natB, natA))}`)
      expect(seen).toEqual(rule)
    })
  }

  test('is not a matter of luck with ports', () => {
    const symmetric = random('address-and-port-dependent', 'address-and-port-dependent')
    const restricted = random('endpoint-independent', 'address-and-port-dependent')
    for (let i = 0; i < 50; i++) {
      expect(punch(symmetric, restricted, `seed ${i}`).isDirect).toBe(false)
      expect(punch(restricted, restricted, `seed ${i}`).isDirect).toBe(true)
    }
  })

  test('the three classes of iroh: only moderate with strict and strict with strict stay on the relay', () => {
    const classes = {
      open: random('endpoint-independent', 'endpoint-independent'),
      moderate: random('endpoint-independent', 'address-and-port-dependent'),
      strict: random('address-and-port-dependent', 'address-and-port-dependent'),
    }
    const relayed = Object.entries(classes).flatMap(([nameA, natA]) =>
      Object.entries(classes).flatMap(([nameB, natB]) =>
        punch(natA, natB, 'seed').isDirect ? [] : [`${nameA} x ${nameB}`],
      ),
    )
    expect(relayed).toEqual(['moderate x strict', 'strict x moderate', 'strict x strict'])
  })

  test('filters work by themselves: probes come in where the receiver filters nothing, whatever its mapping', () => {
    const receiver = random('address-and-port-dependent', 'endpoint-independent')
    const sender = random('endpoint-independent', 'address-and-port-dependent')
    expect(punch(sender, receiver, 'seed')).toEqual({ isDirect: false, aToB: true, bToA: false })
  })
})

describe('other cells, each with its reason', () => {
  test('with preserved ports an address-and-port-dependent mapping acts like a cone, as Linux masquerade does', () => {
    const masquerade: NatOptions = {
      mapping: 'address-and-port-dependent',
      filtering: 'address-and-port-dependent',
      portAllocation: 'preserve',
    }
    expect(punch(masquerade, masquerade, 'seed').isDirect).toBe(true)
    expect(punch(masquerade, random('endpoint-independent', 'address-and-port-dependent'), 'seed').isDirect).toBe(true)
  })

  test('sequential ports are other ports: they could be guessed, but nobody guesses here', () => {
    const sequential: NatOptions = {
      mapping: 'address-and-port-dependent',
      filtering: 'address-and-port-dependent',
      portAllocation: 'sequential',
    }
    expect(punch(sequential, sequential, 'seed').isDirect).toBe(false)
  })

  test('the presets', () => {
    const names: NatPresetName[] = [
      'full-cone',
      'restricted-cone',
      'home',
      'symmetric',
      'corporate',
      'cloud',
      'cgnat',
      'udp-blocked',
    ]
    const direct = names.map((a) =>
      names.map((b) => {
        if (a === 'udp-blocked' || b === 'udp-blocked') return '-'
        return punch(natPreset(a), natPreset(b), 'seed').isDirect ? 'x' : '.'
      }),
    )
    expect(direct.map((row) => row.join(''))).toEqual([
      'xxxxxxx-',
      'xxxxxxx-',
      'xxx...x-',
      'xx....x-',
      'xx....x-',
      'xx....x-',
      'xxxxxxx-',
      '--------',
    ])
  })
})
