/** Endpoints of real iroh that reach nobody but each other. */
import type { TestAPI } from 'vitest'
import { P2PAddress } from '../../../src/core/address.ts'
import { testSigningKey } from '../../../src/core/keys.ts'
import { IrohP2P } from '../../../src/iroh/index.ts'
import type { IrohCreateOptions } from '../../../src/iroh/index.ts'
import { serveReflector } from '../../../src/reflector/index.ts'
import { RelayServer } from '../../../src/relay/index.ts'
import type { NatPresetName } from '../../../src/simulator/index.ts'
import type {
  ContractAbilities,
  ContractBackend,
  ContractConditions,
  ContractNodeOptions,
  ContractRunner,
} from '../../../src/testing/index.ts'
import { AddressBook } from './address-book.ts'
import { RealInternet, whyNoInternet } from './real-internet.ts'
import type { Home } from './real-internet.ts'

type Binding = 'native' | 'official'
type Name = 'a' | 'b' | 'c'

const ANY = ['127.0.0.1:0', '[::1]:0']

/** `node`, which says that it is somewhere else. */
function elsewhere(node: IrohP2P, direct: string): IrohP2P {
  const address = new P2PAddress(node.localNodeId(), [direct])
  return new Proxy(node, {
    get: (target, key) => {
      if (key === 'address') return () => address
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** Nodes around a network that is as it was asked to be. */
class Conditions {
  readonly #homes: ReadonlyMap<Name, Home>
  /** Where two behind NATs find each other; its reflector tells them where they are. */
  readonly #relay: RelayServer | undefined
  readonly #open: (() => unknown)[]

  private constructor(homes: ReadonlyMap<Name, Home>, relay: RelayServer | undefined, open: (() => unknown)[]) {
    this.#homes = homes
    this.#relay = relay
    this.#open = open
  }

  static async open(binding: Binding, { latencyMs, nats }: ContractConditions): Promise<Conditions> {
    const internet = RealInternet.open({ latencyMs })
    const open: (() => unknown)[] = [() => internet.close()]
    const homes = new Map<Name, Home>()
    for (const [i, name] of (['a', 'b', 'c'] as const).entries()) {
      homes.set(name, internet.home(nats?.[i] as NatPresetName | undefined))
    }
    try {
      const relay = nats && (await openRelay(internet.home(), binding, open))
      return new Conditions(homes, relay, open)
    } catch (error) {
      await closeAll(open)
      throw error
    }
  }

  options(name: Name): IrohCreateOptions {
    const { insideIp = '', nat } = this.#homes.get(name) ?? {}
    const bind = [`${insideIp}:0`]
    if (!this.#relay) return { bind }
    // Who has no UDP would wait for the reflector's answer until the time is over.
    const reflectors = nat === 'udp-blocked' ? ({ reflectors: 'disabled' } as const) : {}
    return { bind, relay: [this.#relay.url], relayTimeoutMs: 10_000, ...reflectors }
  }

  /** The node as others find it. */
  async seen(name: Name, node: IrohP2P): Promise<IrohP2P> {
    if (this.#relay) return node
    const home = this.#homes.get(name) as Home
    const own = node.address().direct.find((address) => address.startsWith(`${home.insideIp}:`))
    if (own === undefined) throw new Error(`${name} has not bound what it was told`)
    return elsewhere(node, await home.publish(own))
  }

  close(): Promise<void> {
    return closeAll(this.#open)
  }
}

async function openRelay(home: Home, binding: Binding, open: (() => unknown)[]): Promise<RelayServer> {
  const reflector = await IrohP2P.create({ binding, relay: 'disabled', bind: [`${home.insideIp}:0`] })
  open.push(() => reflector.close())
  await serveReflector(reflector)
  const own = reflector.address().direct.find((address) => address.startsWith(`${home.insideIp}:`)) ?? ''
  const addresses = [await home.publish(own)]
  const port = Number(own.slice(own.lastIndexOf(':') + 1))
  const id = reflector.localNodeId()
  const relay = await RelayServer.start({ host: '127.0.0.1', port: 0, reflectors: [{ id, port, addresses }] })
  open.push(() => relay.close())
  return relay
}

async function closeAll(open: (() => unknown)[]): Promise<void> {
  for (const close of open.splice(0).toReversed()) await close()
}

/** The nodes of one case. */
class World {
  readonly #binding: Binding
  readonly #discovery = new AddressBook()
  readonly #nodes: IrohP2P[] = []
  readonly #conditions: Conditions | undefined

  constructor(binding: Binding, conditions: Conditions | undefined) {
    this.#binding = binding
    this.#conditions = conditions
  }

  async create(name: Name, options?: ContractNodeOptions): Promise<IrohP2P> {
    const node = await IrohP2P.create({
      secretKey: testSigningKey(name),
      relay: 'disabled',
      binding: this.#binding,
      bind: ANY,
      ...this.#conditions?.options(name),
      discovery: [this.#discovery],
      ...options,
    })
    this.#nodes.push(node)
    const seen = (await this.#conditions?.seen(name, node)) ?? node
    this.#discovery.add(seen.address())
    return seen
  }

  /** Sockets of a case that has failed would keep the process alive. */
  async close(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.close()))
    await this.#conditions?.close()
  }
}

const WHY_NOT = whyNoInternet()
/** The kinds of NAT that decide: who lets everybody in, who lets in answers alone, who takes a port for each, and none. */
const ABILITIES: ContractAbilities = {
  latency: [1, 90, 500],
  nats: ['full-cone', 'home', 'symmetric', 'udp-blocked'],
}
/** Cases at three latencies, one after the other, some of half a second, in real time; or of every pair of NATs. */
const PATIENCE_MS = 180_000

/** `test` with time for that. */
export function patient(test: TestAPI): ContractRunner['test'] {
  const withTime = (title: string, body: () => Promise<void>): void => test(title, { timeout: PATIENCE_MS }, body)
  return Object.assign(withTime, { skip: (title: string, body: () => Promise<void>) => test.skip(title, body) })
}

/** Whether latencies and NATs can be brought about here, as a test that says why not. */
export function testAbilities(test: TestAPI): void {
  const why = WHY_NOT === undefined ? '' : ` (skipped: ${WHY_NOT})`
  test.skipIf(WHY_NOT !== undefined)(`latencies and NATs can be brought about${why}`, () => {})
}

export function irohBackend(binding: Binding): ContractBackend {
  return {
    name: `iroh (${binding})`,
    scale: { runs: 3, maxBytes: 2_097_152, many: 20, beyondWindowsBytes: 4_000_000, lateMs: 3000 },
    abilities: WHY_NOT === undefined ? ABILITIES : undefined,
    run: async (body, conditions) => {
      const world = new World(binding, conditions && (await Conditions.open(binding, conditions)))
      try {
        await body(world)
      } finally {
        await world.close()
      }
    },
  }
}
