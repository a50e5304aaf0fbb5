/** Endpoints of real iroh that reach nobody but each other. */
import type { TestAPI } from 'vitest'
import { P2PAddress } from '../../../src/core/address.ts'
import { testSigningKey } from '../../../src/core/keys.ts'
import { IrohP2P } from '../../../src/iroh/index.ts'
import type {
  ContractAbilities,
  ContractBackend,
  ContractNodeOptions,
  ContractRunner,
} from '../../../src/testing/index.ts'
import { AddressBook } from './address-book.ts'
import { SlowLine } from './slow-line.ts'

type Name = 'a' | 'b' | 'c'

const ANY = ['127.0.0.1:0', '[::1]:0']
/** With a line between them, which is the only way. */
const FAMILIES = { a: ['udp4', '127.0.0.1:0'], b: ['udp6', '[::1]:0'] } as const

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

/** The nodes of one case. */
class World {
  readonly #binding: 'native' | 'official'
  readonly #discovery = new AddressBook()
  readonly #nodes: IrohP2P[] = []
  readonly #line: SlowLine | undefined

  constructor(binding: 'native' | 'official', line: SlowLine | undefined) {
    this.#binding = binding
    this.#line = line
  }

  async create(name: Name, options?: ContractNodeOptions): Promise<IrohP2P> {
    if (this.#line && name === 'c') throw new Error('a line has two ends')
    const family = this.#line && FAMILIES[name as 'a' | 'b']
    const node = await IrohP2P.create({
      secretKey: testSigningKey(name),
      relay: 'disabled',
      binding: this.#binding,
      bind: family ? [family[1]] : ANY,
      discovery: [this.#discovery],
      ...options,
    })
    this.#nodes.push(node)
    const seen = this.#line && family ? elsewhere(node, this.#line.attach(family[0], node.address().direct)) : node
    this.#discovery.add(seen.address())
    return seen
  }

  /** Sockets of a case that has failed would keep the process alive. */
  async close(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.close()))
    this.#line?.close()
  }
}

/** The official door has sockets of both families whatever it is told to bind, and so always another way. */
const LATENCIES: ContractAbilities = { latency: [1, 90, 500], nats: [] }
/** Cases at three latencies, one after the other, some of half a second, in real time. */
const PATIENCE_MS = 180_000

/** `test` with time for that. */
export function patient(test: TestAPI): ContractRunner['test'] {
  const withTime = (title: string, body: () => Promise<void>): void => test(title, { timeout: PATIENCE_MS }, body)
  return Object.assign(withTime, { skip: (title: string, body: () => Promise<void>) => test.skip(title, body) })
}

export function irohBackend(binding: 'native' | 'official'): ContractBackend {
  return {
    name: `iroh (${binding})`,
    scale: { runs: 3, maxBytes: 2_097_152, many: 20, beyondWindowsBytes: 4_000_000, lateMs: 3000 },
    ...(binding === 'native' && { abilities: LATENCIES }),
    run: async (body, { latencyMs } = {}) => {
      const world = new World(binding, latencyMs === undefined ? undefined : await SlowLine.open(latencyMs))
      try {
        await body(world)
      } finally {
        await world.close()
      }
    },
  }
}
