/** Endpoints on a small virtual internet. */
import { P2PAddress } from '../../../src/core/address.ts'
import type { CarrierConnection, CarrierReceiveStream, CarrierSendStream } from '../../../src/core/carrier.ts'
import { testSigningKey } from '../../../src/core/keys.ts'
import { SimEndpoint } from '../../../src/simulator/endpoint.ts'
import type { SimEndpointOptions } from '../../../src/simulator/endpoint.ts'
import { Topology } from '../../../src/simulator/network/index.ts'
import type { NetworkInterface, TopologyHostOptions, TopologyOptions } from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'
import type { TestKernelOptions } from '../support/test-kernel.ts'

export class Node {
  readonly name: string
  readonly network: NetworkInterface
  readonly endpoint: SimEndpoint
  readonly incoming: CarrierConnection[] = []
  readonly #waiting: ((connection: CarrierConnection) => void)[] = []

  constructor(name: string, network: NetworkInterface, endpoint: SimEndpoint) {
    this.name = name
    this.network = network
    this.endpoint = endpoint
    endpoint.onIncoming = (connection): void => {
      const waiting = this.#waiting.shift()
      if (waiting) waiting(connection)
      else this.incoming.push(connection)
    }
  }

  accept(): Promise<CarrierConnection> {
    const connection = this.incoming.shift()
    return connection ? Promise.resolve(connection) : new Promise((resolve) => this.#waiting.push(resolve))
  }

  connect(to: Node | P2PAddress, options: { alpn?: string; signal?: AbortSignal } = {}): Promise<CarrierConnection> {
    const address = to instanceof P2PAddress ? to : to.endpoint.address()
    const signal = options.signal ?? new AbortController().signal
    return this.endpoint.connect({ address, alpn: options.alpn ?? 'test', signal })
  }
}

export class World {
  readonly kernel: TestKernel
  readonly topology: Topology
  readonly #nodes: Node[] = []

  constructor(options: TopologyOptions & TestKernelOptions = {}) {
    this.kernel = new TestKernel(options)
    this.topology = new Topology(this.kernel, { defaultLatencyMs: 25, defaultPacketLoss: 0, ...options })
  }

  node(
    name: string,
    options: TopologyHostOptions & { listens?: boolean; key?: string } & Partial<SimEndpointOptions> = {},
  ): Node {
    const { lan, region, core, link, ip, ip6, host, kind } = options
    const network = this.topology.host(name, { lan, region, core, link, ip, ip6, host, kind })
    const endpoint = new SimEndpoint({
      kernel: this.kernel,
      host: this.#nodes.length,
      name,
      network,
      lookup: options.lookup,
      port: options.port,
      ...options,
      // Whole figures: hosts that take no time.
      transport: {
        processingUs: 0,
        wakeUs: 0,
        handshakeProcessingUs: 0,
        acceptUs: 0,
        handoverUs: 0,
        ...options.transport,
      },
      key: testSigningKey(options.key === undefined ? name : String(options.key)),
    })
    if (options.listens ?? true) endpoint.setAlpns(['test'])
    const node = new Node(name, network, endpoint)
    this.#nodes.push(node)
    return node
  }

  /** Runs the world until the promise is settled, and nothing else. */
  async until<T>(promise: Promise<T>, limitUs = 120_000_000): Promise<T> {
    let settled = false
    const done = (): void => {
      settled = true
    }
    promise.then(done, done)
    await this.kernel.drive(() => settled, this.kernel.nowUs() + limitUs)
    if (!settled) throw new Error(`nothing has come of it by ${this.kernel.nowUs()} us`)
    return promise
  }

  async pair(): Promise<{ client: Node; server: Node; there: CarrierConnection; here: CarrierConnection }> {
    const server = this.node('server')
    const client = this.node('client')
    const [here, there] = await this.until(Promise.all([client.connect(server), server.accept()]))
    return { client, server, here, there }
  }
}

export async function readAll(stream: CarrierReceiveStream): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (let part = await stream.read(65_536); part; part = await stream.read(65_536)) parts.push(part)
  return Uint8Array.from(Buffer.concat(parts))
}

export async function writeAll(stream: CarrierSendStream, bytes: Uint8Array): Promise<void> {
  await stream.write(bytes)
  await stream.finish()
}

/** Answers every two-way stream with its own bytes. */
export async function echo(connection: CarrierConnection): Promise<void> {
  try {
    for (;;) {
      const stream = await connection.acceptBi()
      readAll(stream.receive)
        .then((bytes) => writeAll(stream.send, bytes))
        .catch(() => {})
    }
  } catch {
    // The connection is over.
  }
}
