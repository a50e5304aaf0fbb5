/**
 * The native addon (`native/src/calls.rs`): its functions, and where it is found. Every function returns at once; what
 * takes time is answered by records. Functions on handles return false, or 0, when the handle is over; what is no
 * handle, context or value at all makes them throw.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { P2PError } from '../../core/errors.ts'
import { BUILD_NATIVE } from '../binding.ts'

/** What the addon exports. Codes are whole numbers up to 2^53 - 1. */
export interface NativeAddon {
  version(): string
  liveHandles(): number
  openContext(bell: () => void, shareLoop: boolean): number
  closeContext(context: number): void
  keepAlive(context: number, alive: boolean): void
  drain(context: number, scratch: Uint8Array): number
  ringAgain(context: number): void
  bind(context: number, token: number, key: Uint8Array, settings: string): void
  closeEndpoint(context: number, token: number, endpoint: number): void
  endpointInfo(context: number, endpoint: number): string
  homeRelays(context: number, endpoint: number): string
  networkReport(context: number, endpoint: number): string
  turnedAway(context: number, endpoint: number): number
  setAlpns(context: number, endpoint: number, alpns: Uint8Array, early: Uint8Array): boolean
  setAccess(context: number, endpoint: number, onlyAllowed: boolean, allow: Uint8Array, deny: Uint8Array): boolean
  setBounds(context: number, endpoint: number, connections: number, connectionsPerPeer: number): boolean
  setExternalAddress(context: number, endpoint: number, address: string, add: boolean): boolean
  setRelay(context: number, endpoint: number, relay: string, add: boolean): boolean
  networkChange(context: number, endpoint: number): boolean
  connect(
    context: number,
    token: number,
    endpoint: number,
    peer: Uint8Array,
    alpn: Uint8Array,
    addresses: string,
    early: boolean,
  ): void
  cancel(context: number, token: number): void
  closeConnection(context: number, connection: number, code: number, reason: Uint8Array): boolean
  watchPaths(context: number, connection: number): boolean
  paths(context: number, connection: number): string
  stats(context: number, connection: number): number[]
  maxDatagramSize(context: number, connection: number): number
  sendDatagram(context: number, connection: number, bytes: Uint8Array): number
  reserve(context: number, handles: Uint8Array): number
  submit(context: number, batch: Uint8Array, used: number): void
  write(context: number, stream: number, bytes: Uint8Array, tell: boolean): boolean
}

/** Where `native/build.mjs` leaves the addon. */
const BUILT = '../../../build/native/p2p.node'

/** The version that this door speaks with; a record or a call that differs makes another. */
const VERSION = '0.1.3'

/** The package that holds the addon for this platform. */
export function platformPackage(): string {
  const { platform, arch } = process
  if (platform !== 'linux') return `@moosicbox/p2p-${platform}-${arch}${platform === 'win32' ? '-msvc' : ''}`
  const report = process.report?.getReport() as { readonly header?: { readonly glibcVersionRuntime?: string } }
  return `@moosicbox/p2p-linux-${arch}-${report?.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`
}

/**
 * The addon: the file that `P2P_NATIVE_ADDON` names (for bundled programs), else the one built here, else that of this
 * platform's package.
 *
 * @param require for tests
 * @throws P2PError `unsupported` when there is none for this platform, or it is of another version
 */
export function loadAddon(
  require: (id: string) => unknown = createRequire(import.meta.url),
  file: string | undefined = process.env['P2P_NATIVE_ADDON'] || undefined,
): NativeAddon {
  const name = platformPackage()
  const failures: unknown[] = []
  for (const id of file === undefined ? [BUILT, name] : [file]) {
    let addon: NativeAddon
    try {
      addon = require(id) as NativeAddon
    } catch (error) {
      failures.push(error)
      continue
    }
    const version = addon.version().split(' ')[0]
    if (version === VERSION) return addon
    const message = `the native door is of version ${version}, and this package needs ${VERSION}: ${BUILD_NATIVE}`
    throw P2PError.of('unsupported', message, { what: `${id} ${version}`, backend: 'iroh (native)' })
  }
  const found = failures.find((error) => (error as { readonly code?: unknown }).code !== 'MODULE_NOT_FOUND')
  const message = found
    ? 'the native door cannot be loaded here; `cause` says why'
    : file !== undefined
      ? `P2P_NATIVE_ADDON names ${file}, which is not there`
      : `there is no native door: ${BUILD_NATIVE} builds it where Rust is, or install ${name}`
  throw P2PError.of(
    'unsupported',
    message,
    { what: name, backend: 'iroh (native)' },
    { cause: found ?? new AggregateError(failures, 'the places that were tried') },
  )
}
