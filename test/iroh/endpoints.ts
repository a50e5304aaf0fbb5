/**
 * Endpoints of either door on loopback, and what tests need around them.
 *
 * @module
 */
import type {
  CarrierConnection,
  CarrierEndpoint,
  CarrierReceiveStream,
  CarrierSendStream,
} from '../../src/core/carrier.ts'
import { testSigningKey } from '../../src/core/keys.ts'
import type { Runtime } from '../../src/core/runtime.ts'
import type { DoorSettings, IrohBinding, IrohEndpoint } from '../../src/iroh/binding.ts'
import { officialBinding } from '../../src/iroh/official/binding.ts'
import { realRuntime } from '../../src/runtime/index.ts'

export const ALPN = 'test/carrier'
export const LOOPBACK: readonly string[] = ['127.0.0.1:0', '[::1]:0']

let open: () => IrohBinding = () => officialBinding()

/** The door that endpoints are opened through from now on. */
export function useDoor(door: { readonly binding: () => IrohBinding }): void {
  open = door.binding
}

/** Opens an endpoint; by default on loopback alone, without relays. */
export async function openEndpoint(name: string, settings: Partial<DoorSettings> = {}): Promise<IrohEndpoint> {
  return open().open({
    secretKey: testSigningKey(name),
    bind: LOOPBACK,
    relay: 'disabled',
    idleTimeoutMs: 30_000,
    runtime: realRuntime(),
    ...settings,
  })
}

/** Connects, giving up after 5 s. */
export async function connect(
  from: CarrierEndpoint,
  to: CarrierEndpoint,
  alpn: string = ALPN,
  signal: AbortSignal = AbortSignal.timeout(5_000),
): Promise<CarrierConnection> {
  return from.connect({ address: to.address(), alpn, signal })
}

/** The next inbound connections, in order. */
export function incoming(endpoint: CarrierEndpoint): () => Promise<CarrierConnection> {
  const connections: CarrierConnection[] = []
  const waiting: ((connection: CarrierConnection) => void)[] = []
  endpoint.onIncoming = (connection) => {
    const next = waiting.shift()
    if (next) next(connection)
    else connections.push(connection)
  }
  return async () => connections.shift() ?? new Promise((resolve) => waiting.push(resolve))
}

export interface Pair extends AsyncDisposable {
  readonly a: IrohEndpoint
  readonly b: IrohEndpoint
  readonly client: CarrierConnection
  readonly server: CarrierConnection
  /** The next connection to `b`. */
  readonly next: () => Promise<CarrierConnection>
}

/** Two endpoints and a connection between them. */
export async function openPair(settings: Partial<DoorSettings> = {}): Promise<Pair> {
  const [a, b] = await Promise.all([openEndpoint('a', settings), openEndpoint('b')])
  const next = incoming(b)
  b.setAlpns([ALPN])
  const [client, server] = await Promise.all([connect(a, b), next()])
  return {
    a,
    b,
    client,
    server,
    next,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([a.close(), b.close()])
    },
  }
}

/** A runtime that is real but for its clock and timers, which are `clock`'s. */
export function withClock(clock: Runtime): Runtime {
  const runtime = realRuntime()
  return {
    kind: 'real',
    files: runtime.files,
    now: () => clock.now(),
    wallClockMs: () => clock.wallClockMs(),
    setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
    sleep: async (delayMs, options) => clock.sleep(delayMs, options),
    random: () => runtime.random(),
    randomBytes: (length) => runtime.randomBytes(length),
    bridge: async (what, work) => runtime.bridge(what, work),
  }
}

/** Everything up to the end of a stream. */
export async function readAll(stream: CarrierReceiveStream, maxBytes: number = 65_536): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for (let chunk = await stream.read(maxBytes); chunk; chunk = await stream.read(maxBytes)) chunks.push(chunk)
  return new Uint8Array(Buffer.concat(chunks))
}

export async function send(stream: CarrierSendStream, bytes: Uint8Array): Promise<void> {
  await stream.write(bytes)
  await stream.finish()
}

/** Bytes without a pattern that a mix-up of pieces could reproduce. */
export function scrambled(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}
