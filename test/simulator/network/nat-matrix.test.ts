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
  return punchLayers([natA], [natB], { seed })
}

interface PunchOptions {
  readonly seed?: string
  /** Both are behind this one besides, as neighbours are behind their provider's. */
  readonly shared?: NatOptions
  /** A has its router forward its port before it begins. */
  readonly mapsPort?: boolean
  /** Another host of A's home sends from the same port first. */
  readonly hasTwin?: boolean
}

/** As `punch`, with several NATs one behind the other, the outermost first. */
function punchLayers(natsA: readonly NatOptions[], natsB: readonly NatOptions[], options: PunchOptions = {}): Outcome {
  const { seed = 'seed', shared, mapsPort = false, hasTwin = false } = options
  const kernel = new TestKernel({ seed })
  const fabric = new Fabric(kernel)
  const line = { up: { latencyMs: 10 }, down: { latencyMs: 10 } }
  const learnt: SocketAddress[] = []
  const reflector = fabric.attach('reflector').bind(1, ({ source }) => learnt.push(source))
  const around = shared && fabric.addLan('provider', { nat: shared, prefix: '100.64.0.0/10', ...line })
  const sides = (['a', 'b'] as const).map((name, i) => {
    let lan = around
    for (const [layer, nat] of (i === 0 ? natsA : natsB).entries()) {
      lan = fabric.addLan(`home-${name}-${layer}`, { nat, lan, prefix: `10.${layer}.0.0/16`, ...line })
    }
    if (hasTwin && i === 0) {
      fabric
        .attach('twin', { lan })
        .bind(7000, () => {})
        .send(reflector.localAddress, { kind: 'hello' }, 50)
      kernel.run()
      learnt.length = 0
    }
    const iface = fabric.attach(name, { lan })
    if (mapsPort && i === 0) lan?.mapPort(iface, 7000)
    const side = { probesReceived: 0, answered: false, target: reflector.localAddress }
    const socket = iface.bind(7000, ({ source, payload }) => {
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
  const kinds = NAT_BEHAVIOURS.flatMap((mapping) => NAT_BEHAVIOURS.map((filtering) => ({ mapping, filtering })))
  const short = ({ mapping, filtering }: NatOptions): string => `${mapping} / ${filtering}`
  /** All pairs of `as` made of all kinds: which of them do not become direct. */
  const relayed = (as: (kind: NatOptions) => NatOptions): string[] =>
    kinds.flatMap((a) =>
      kinds.filter((b) => !punch(as(a), as(b), 'seed').isDirect).map((b) => `${short(a)} x ${short(b)}`),
    )
  const rule = kinds.flatMap((a) =>
    kinds.filter((b) => !isAdmitted(a, b) && !isAdmitted(b, a)).map((b) => `${short(a)} x ${short(b)}`),
  )

  test('with preserved ports all 81 pairs are direct: any mapping acts like a cone, as Linux masquerade does', () => {
    expect(relayed((kind) => ({ ...kind, portAllocation: 'preserve' }))).toEqual([])
  })

  test('unless another host of the home has the port: then the mapping is what it says', () => {
    const masquerade: NatOptions = {
      mapping: 'address-and-port-dependent',
      filtering: 'address-and-port-dependent',
      portAllocation: 'preserve',
    }
    const restricted = random('endpoint-independent', 'address-and-port-dependent')
    expect(punchLayers([masquerade], [restricted]).isDirect).toBe(true)
    expect(punchLayers([masquerade], [restricted], { hasTwin: true }).isDirect).toBe(false)
  })

  test('sequential ports are other ports, as random ones are: they could be guessed, but nobody guesses here', () => {
    expect(relayed((kind) => ({ ...kind, portAllocation: 'sequential' }))).toEqual(rule)
    expect(rule).toHaveLength(36 + 12)
  })

  test('hairpinning changes nothing between two homes', () => {
    expect(relayed((kind) => ({ ...kind, portAllocation: 'random', hairpinning: true }))).toEqual(rule)
  })

  const layers = [
    random('endpoint-independent', 'endpoint-independent'),
    random('endpoint-independent', 'address-dependent'),
    random('endpoint-independent', 'address-and-port-dependent'),
    random('address-and-port-dependent', 'address-and-port-dependent'),
  ]

  test('two NATs one behind the other are as one with the more dependent mapping and the stricter filter', () => {
    const stricter = (a: NatBehaviour, b: NatBehaviour): NatBehaviour =>
      NAT_BEHAVIOURS.indexOf(a) > NAT_BEHAVIOURS.indexOf(b) ? a : b
    for (const outer of layers) {
      for (const inner of layers) {
        const both = random(stricter(outer.mapping, inner.mapping), stricter(outer.filtering, inner.filtering))
        for (const other of layers) {
          const name = `${short(inner)} behind ${short(outer)} x ${short(other)}`
          const expected = isAdmitted(both, other) || isAdmitted(other, both)
          expect([name, punchLayers([outer, inner], [other]).isDirect]).toEqual([name, expected])
        }
      }
    }
  })

  test('neighbours behind one provider’s NAT meet at its outside only if it hairpins', () => {
    const open = random('endpoint-independent', 'endpoint-independent')
    const homes = random('endpoint-independent', 'address-and-port-dependent')
    expect(punchLayers([homes], [homes], { shared: open }).isDirect).toBe(false)
    expect(punchLayers([homes], [homes], { shared: { ...open, hairpinning: true } }).isDirect).toBe(true)
  })

  test('two hosts of one home meet at its outside only if it hairpins; at their private addresses they need not', () => {
    const nat = random('endpoint-independent', 'endpoint-independent')
    expect(punchLayers([], [], { shared: nat }).isDirect).toBe(false)
    expect(punchLayers([], [], { shared: { ...nat, hairpinning: true } }).isDirect).toBe(true)
  })

  test('a port that the router has mapped makes any NAT an open one', () => {
    for (const kind of kinds) {
      for (const other of kinds) {
        const mapping = { ...kind, portAllocation: 'random', portMapping: true } as const
        const pair = [[mapping], [{ ...other, portAllocation: 'random' as const }]] as const
        expect(punchLayers(...pair, { mapsPort: true }).isDirect).toBe(true)
      }
    }
  })

  test('a port mapped on the inner of two NATs leaves it to the outer one', () => {
    const inner = { ...random('address-and-port-dependent', 'address-and-port-dependent'), portMapping: true }
    for (const outer of layers) {
      for (const other of layers) {
        const expected = isAdmitted(outer, other) || isAdmitted(other, outer)
        expect(punchLayers([outer, inner], [other], { mapsPort: true }).isDirect).toBe(expected)
      }
    }
  })

  test('what real iroh endpoints came to behind emulated NATs', () => {
    const classes: Record<string, NatOptions> = {
      'full cone': random('endpoint-independent', 'endpoint-independent'),
      'address-restricted': random('endpoint-independent', 'address-dependent'),
      'port-restricted': random('endpoint-independent', 'address-and-port-dependent'),
      symmetric: random('address-and-port-dependent', 'address-and-port-dependent'),
    }
    const pairs = Object.entries(classes).flatMap(([a, natA]) =>
      Object.entries(classes)
        .filter(([, natB]) => !punch(natA, natB, 'seed').isDirect)
        .map(([b]) => `${a} x ${b}`),
    )
    expect(pairs).toEqual(['port-restricted x symmetric', 'symmetric x port-restricted', 'symmetric x symmetric'])
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
