/**
 * Randomness drawn from the stream of the host whose code asks: `Math.random`, Web Crypto's `getRandomValues` and
 * `randomUUID`, and what `node:crypto` has of the kind.
 *
 * @module
 */
import nodeCrypto from 'node:crypto'
import type { AnyFunction, Patches } from './patches.ts'
import { ambientScope } from './scope.ts'
import type { AmbientHost } from './scope.ts'

/** `crypto.getRandomValues` gives no more at a time. */
const MAX_VALUES_BYTES = 65_536

function fill(host: AmbientHost, target: ArrayBufferView | ArrayBuffer, offset = 0, size?: number): void {
  const buffer = ArrayBuffer.isView(target) ? target.buffer : target
  const start = ArrayBuffer.isView(target) ? target.byteOffset : 0
  const unit = ArrayBuffer.isView(target) && 'BYTES_PER_ELEMENT' in target ? Number(target.BYTES_PER_ELEMENT) : 1
  const from = offset * unit
  const length = size === undefined ? target.byteLength - from : size * unit
  new Uint8Array(buffer, start + from, length).set(host.randomBytes(length))
}

function uuid(host: AmbientHost): string {
  const bytes = Buffer.from(host.randomBytes(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** A whole number in [0, range), without bias; `range` is at most 2^48, as with `randomInt`. */
function below(host: AmbientHost, range: number): number {
  const limit = 2 ** 48 - (2 ** 48 % range)
  for (;;) {
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = host.randomBytes(6)
    const value = ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
    if (value < limit) return value % range
  }
}

/** Replaces this thread's sources of randomness. */
export function patchRandomness(patches: Patches): void {
  const scope = ambientScope()
  const virtual = (): AmbientHost | undefined => {
    const host = scope.host()
    return host?.isVirtual ? host : undefined
  }
  /** Calls back as real work would: later, on the host's own time. */
  const later = (host: AmbientHost, callback: AnyFunction, ...results: unknown[]): void => {
    host.setTimer(0, () => void callback(null, ...results))
  }

  patches.wrap(Math, 'random', (real) => () => virtual()?.random() ?? (real() as number))

  const web = Object.getPrototypeOf(nodeCrypto.webcrypto) as object
  patches.wrap(
    web,
    'getRandomValues',
    (real) =>
      function getRandomValues(array: ArrayBufferView) {
        const host = virtual()
        if (
          !host ||
          !ArrayBuffer.isView(array) ||
          array.byteLength > MAX_VALUES_BYTES ||
          array instanceof Float32Array ||
          array instanceof Float64Array ||
          array instanceof DataView
        ) {
          return real.call(this, array)
        }
        fill(host, array)
        return array
      },
  )
  patches.wrap(
    web,
    'randomUUID',
    (real) =>
      function randomUUID(...args: unknown[]) {
        const host = virtual()
        return host ? uuid(host) : real.apply(this, args)
      },
  )

  patches.wrap(nodeCrypto, 'randomUUID', (real) => (...args) => {
    const host = virtual()
    return host ? uuid(host) : real(...args)
  })
  patches.wrap(nodeCrypto, 'getRandomValues', (real) => (array: ArrayBufferView) => {
    if (!virtual()) return real(array)
    return nodeCrypto.webcrypto.getRandomValues(array as Uint8Array<ArrayBuffer>)
  })
  patches.wrap(nodeCrypto, 'randomBytes', (real) => (size: number, callback?: AnyFunction) => {
    const host = virtual()
    if (!host || !Number.isInteger(size) || size < 0) return real(size, callback)
    const bytes = Buffer.from(host.randomBytes(size))
    if (!callback) return bytes
    return later(host, callback, bytes)
  })
  patches.wrap(nodeCrypto, 'randomFillSync', (real) => (target: ArrayBufferView, offset?: number, size?: number) => {
    const host = virtual()
    if (!host) return real(target, offset, size)
    fill(host, target, offset, size)
    return target
  })
  patches.wrap(nodeCrypto, 'randomFill', (real) => (target: ArrayBufferView, ...rest: unknown[]) => {
    const host = virtual()
    const callback = rest.pop()
    if (!host || typeof callback !== 'function') return real(target, ...rest, callback)
    fill(host, target, ...(rest as [number?, number?]))
    return later(host, callback as AnyFunction, target)
  })
  patches.wrap(nodeCrypto, 'randomInt', (real) => (...args: unknown[]) => {
    const host = virtual()
    const callback = typeof args.at(-1) === 'function' ? (args.at(-1) as AnyFunction) : undefined
    const [a, b] = args.filter((arg) => typeof arg === 'number')
    const min = b === undefined ? 0 : (a ?? Number.NaN)
    const max = b ?? a ?? Number.NaN
    // What makes no sense Node refuses in its own words.
    if (!host || !Number.isSafeInteger(min) || !Number.isSafeInteger(max) || max <= min || max - min >= 2 ** 48)
      return real(...args)
    const value = min + below(host, max - min)
    return callback ? later(host, callback, value) : value
  })
}
