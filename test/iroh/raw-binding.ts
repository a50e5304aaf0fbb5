/**
 * Two endpoints of the binding itself on loopback, without a line of this library, and waits that cannot hang.
 *
 * @module
 */
import * as iroh from '@number0/iroh'

export const ALPN = 'test/raw'

/** What a wait came to: its value, its error's first line, or nothing within the time given. */
export type Outcome<T> = { readonly value: T } | { readonly error: string } | 'pending'

/** Text as the binding wants it. */
export const bytesOf = (text: string): number[] => [...Buffer.from(text)]

/** An endpoint on loopback alone, without relays. */
export async function rawEndpoint(alpns: readonly string[] = [ALPN]): Promise<iroh.Endpoint> {
  const builder = iroh.Endpoint.builder()
  iroh.presetMinimal(builder)
  builder.relayMode(iroh.RelayMode.disabled())
  builder.alpns(alpns.map(bytesOf))
  builder.bindAddr('127.0.0.1:0')
  builder.bindAddr('[::1]:0')
  return builder.bind()
}

export const addressOf = (endpoint: iroh.Endpoint): iroh.EndpointAddr =>
  new iroh.EndpointAddr(endpoint.id(), null, endpoint.boundSockets())

/** The next connection; `undefined` when the endpoint closes. */
export async function acceptRaw(endpoint: iroh.Endpoint): Promise<iroh.Connection | undefined> {
  const incoming = await endpoint.acceptNext()
  return incoming ? (await incoming.accept()).connect() : undefined
}

/** Accepts whatever comes, whether its handshake succeeds or not, until the endpoint is closed. */
export async function acceptAll(endpoint: iroh.Endpoint): Promise<void> {
  for (;;) {
    const incoming = await endpoint.acceptNext()
    if (!incoming) return
    incoming
      .accept()
      .then((accepting) => accepting.connect())
      .catch(() => {})
  }
}

export interface RawPair extends AsyncDisposable {
  readonly client: iroh.Connection
  readonly server: iroh.Connection
  readonly a: iroh.Endpoint
  readonly b: iroh.Endpoint
}

/** Two endpoints and a connection between them. */
export async function rawPair(): Promise<RawPair> {
  const [a, b] = await Promise.all([rawEndpoint(), rawEndpoint()])
  const [client, server] = await Promise.all([a.connect(addressOf(b), bytesOf(ALPN)), acceptRaw(b)])
  if (!server) throw new Error('the endpoint closed')
  return {
    client,
    server,
    a,
    b,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([a.close(), b.close()])
    },
  }
}

/** Waits for `promise`, but no longer than `ms`; it never rejects. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<Outcome<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<'pending'>((resolve) => {
    timer = setTimeout(() => resolve('pending'), ms)
  })
  const settled = promise.then(
    (value): Outcome<T> => ({ value }),
    (error: unknown): Outcome<T> => ({
      error: (error instanceof Error ? error.message : String(error)).split('\n\nStack backtrace')[0] ?? '',
    }),
  )
  const outcome = await Promise.race([settled, late])
  clearTimeout(timer)
  return outcome
}

/** Runs the garbage collector. */
export async function collectGarbage(): Promise<void> {
  const [{ setFlagsFromString }, { runInNewContext }] = await Promise.all([import('node:v8'), import('node:vm')])
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // Native parts are released after the collection, in a task of their own.
  for (let i = 0; i < 3; i++) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
}
