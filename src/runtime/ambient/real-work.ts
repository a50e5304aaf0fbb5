/**
 * What a simulated host cannot do inside of virtual time. Work whose result depends on its input alone (hashing,
 * compression, reading a file) goes over the host's bridge when it lives on globals of its own; everything else
 * (sockets, processes, threads, writing files), and all of it on a host that does not, is told as a leak. What is read
 * synchronously is real: it takes no virtual time, and modules are loaded so.
 *
 * @module
 */
import { isCalledByApplication } from './caller.ts'
import type { AnyFunction, Patches } from './patches.ts'
import { ambientScope } from './scope.ts'
import type { AmbientHost } from './scope.ts'

const BRIDGE = 'wrap it in runtime.bridge, or load @moosicbox/p2p/ambient first'

const SUBTLE = [
  'decrypt',
  'deriveBits',
  'deriveKey',
  'digest',
  'encrypt',
  'exportKey',
  'importKey',
  'sign',
  'unwrapKey',
  'verify',
  'wrapKey',
]
const READS = ['access', 'lstat', 'readFile', 'readdir', 'readlink', 'realpath', 'stat']
const WRITES = [
  'appendFile',
  'chmod',
  'chown',
  'copyFile',
  'cp',
  'lchown',
  'link',
  'lutimes',
  'mkdir',
  'mkdtemp',
  'rename',
  'rm',
  'rmdir',
  'symlink',
  'truncate',
  'unlink',
  'utimes',
  'writeFile',
]
/** What writes, or makes or takes away, before it returns. */
const SYNCHRONOUS_WRITES = [
  ...WRITES.map((name) => `${name}Sync`),
  'fchmodSync',
  'fchownSync',
  'ftruncateSync',
  'futimesSync',
  'writeSync',
  'writevSync',
]
const ZLIB = [
  'brotliCompress',
  'brotliDecompress',
  'deflate',
  'deflateRaw',
  'gunzip',
  'gzip',
  'inflate',
  'inflateRaw',
  'unzip',
]
const ZLIB_STREAMS = [
  'createBrotliCompress',
  'createBrotliDecompress',
  'createDeflate',
  'createDeflateRaw',
  'createGunzip',
  'createGzip',
  'createInflate',
  'createInflateRaw',
  'createUnzip',
]
const CRYPTO = ['hkdf', 'pbkdf2', 'scrypt']
const KEYS = [
  'generateKey',
  'generateKeyPair',
  'generateKeyPairSync',
  'generateKeySync',
  'generatePrime',
  'generatePrimeSync',
]
const PROCESSES = ['exec', 'execFile', 'fork', 'spawn']
const SYNCHRONOUS_PROCESSES = ['execFileSync', 'execSync', 'spawnSync']
const LOOKUPS = ['lookup', 'resolve', 'resolve4', 'resolve6', 'reverse']
const CLASSES = [
  'BroadcastChannel',
  'CompressionStream',
  'DecompressionStream',
  'MessageChannel',
  'WebSocket',
  'EventSource',
]

/** What is said of the classes above. */
const CLASS_LEAKS: Readonly<Record<string, readonly [string, string]>> = {
  BroadcastChannel: ['a real BroadcastChannel', 'talk to other hosts over p2p'],
  CompressionStream: ['zlib in the background (CompressionStream)', 'use zlib.gzipSync, or runtime.bridge'],
  DecompressionStream: ['zlib in the background (DecompressionStream)', 'use zlib.gunzipSync, or runtime.bridge'],
  MessageChannel: ['a real MessageChannel', 'use queueMicrotask or runtime.setTimer'],
  WebSocket: ['a real socket (WebSocket)', 'talk to other hosts over p2p'],
  EventSource: ['a real socket (EventSource)', 'talk to other hosts over p2p'],
}

type Act = (host: AmbientHost, real: AnyFunction, self: unknown, args: unknown[]) => unknown

/** Flags with which a file is only read: those of `fs.open` in words, and as bits. */
const READ_FLAGS: readonly unknown[] = [undefined, null, 'r', 'rs', 'sr']

function isReading(flags: unknown): boolean {
  if (typeof flags !== 'number') return READ_FLAGS.includes(flags)
  const { O_APPEND, O_CREAT, O_RDWR, O_TRUNC, O_WRONLY } = process.getBuiltinModule('node:fs').constants
  return (flags & (O_APPEND | O_CREAT | O_RDWR | O_TRUNC | O_WRONLY)) === 0
}

/** A module of Node; a host may be the first to import it, so it is loaded now if need be. */
function nodeModule(name: string): Record<string, unknown> | undefined {
  return process.getBuiltinModule(`node:${name}`) as Record<string, unknown> | undefined
}

/** Replaces or guards everything that works in the background, or writes or runs something else meanwhile. */
export function patchRealWork(patches: Patches): void {
  const scope = ambientScope()

  const intercept = (target: unknown, names: readonly string[], act: (name: string) => Act): void => {
    if (!isObject(target)) return
    for (const name of names) {
      const what = act(name)
      patches.wrap(
        target,
        name,
        (real) =>
          function intercepted(...args: unknown[]) {
            const host = scope.host()
            return host ? what(host, real, this, args) : real.apply(this, args)
          },
      )
    }
  }
  /** Tells it, and does it all the same where telling is enough. */
  const tell =
    (what: string, instead: string): Act =>
    (host, real, self, args) => {
      host.leak(what, instead)
      return real.apply(self, args)
    }
  /** A function that returns a promise. */
  const bridged =
    (what: string): Act =>
    (host, real, self, args) => {
      if (!host.isVirtual) return tell(what, BRIDGE)(host, real, self, args)
      return host.bridge(what, () => real.apply(self, args) as Promise<unknown>)
    }
  /** A function that calls back. */
  const calledBack =
    (what: string): Act =>
    (host, real, self, args) => {
      const callback = args.at(-1)
      if (!host.isVirtual || typeof callback !== 'function') return tell(what, BRIDGE)(host, real, self, args)
      const work = (): Promise<unknown[]> =>
        new Promise((resolve) => {
          real.call(self, ...args.slice(0, -1), (...results: unknown[]) => resolve(results))
        })
      void host.bridge(what, work).then((results) => (callback as AnyFunction)(...results) as unknown)
      return undefined
    }

  /** Whether a synchronous function of Node is at work: those call each other. */
  let isInside = false
  /** Tells a synchronous function when the application calls it; modules are loaded and traces are written with them too. */
  const tellSynchronous = (
    target: unknown,
    names: readonly string[],
    words: (name: string) => readonly [string, string],
    isHarmless: (args: unknown[]) => boolean = () => false,
  ): void => {
    if (!isObject(target)) return
    for (const name of names) {
      const [what, instead] = words(name)
      patches.wrap(
        target,
        name,
        (real) =>
          function synchronous(...args: unknown[]) {
            const host = isInside ? undefined : scope.host()
            if (!host) return real.apply(this, args)
            if (!isHarmless(args) && isCalledByApplication(synchronous)) host.leak(what, instead)
            isInside = true
            try {
              return real.apply(this, args)
            } finally {
              isInside = false
            }
          },
      )
    }
  }

  const subtle = Object.getPrototypeOf(crypto.subtle) as object
  intercept(subtle, SUBTLE, (name) => bridged(`crypto.subtle.${name}`))
  intercept(subtle, ['generateKey'], () =>
    tell('real random keys (crypto.subtle.generateKey)', 'import a key made of runtime.randomBytes'),
  )
  intercept(nodeModule('crypto'), CRYPTO, (name) => calledBack(`crypto.${name}`))
  intercept(nodeModule('crypto'), KEYS, (name) =>
    tell(`real random keys (crypto.${name})`, 'use new SigningKey(runtime.randomBytes(32))'),
  )

  const fs = nodeModule('fs')
  const files = fs?.['promises']
  intercept(files, READS, (name) => bridged(`fs.promises.${name}`))
  intercept(files, ['open'], () => openBridged)
  intercept(files, [...WRITES, 'opendir', 'watch'], (name) =>
    tell(`a real file (fs.promises.${name})`, 'read files with runtime.files, and write none'),
  )
  intercept(fs, READS, (name) => calledBack(`fs.${name}`))
  intercept(fs, [...WRITES, 'createReadStream', 'createWriteStream', 'open', 'opendir', 'watch', 'watchFile'], (name) =>
    tell(`a real file (fs.${name})`, 'read files with runtime.files, and write none'),
  )

  const ofFile = (name: string): readonly [string, string] => [
    `a real file (fs.${name})`,
    'keep it in memory or on host.disk, or write it after the run',
  ]
  // Numbers 1 and 2 are what the process prints.
  tellSynchronous(fs, SYNCHRONOUS_WRITES, ofFile, ([first]) => first === 1 || first === 2)
  tellSynchronous(fs, ['openSync'], ofFile, ([, flags]) => isReading(flags))

  const zlib = nodeModule('zlib')
  intercept(zlib, ZLIB, (name) => calledBack(`zlib.${name}`))
  intercept(zlib, ZLIB_STREAMS, (name) =>
    tell(`zlib in the background (zlib.${name})`, 'use its synchronous form, or runtime.bridge'),
  )

  const net = nodeModule('net')
  const dns = nodeModule('dns')
  const overP2P = 'talk to other hosts over p2p'
  intercept(prototypeOf(net?.['Socket']), ['connect'], () => tell('a real socket', overP2P))
  intercept(prototypeOf(net?.['Server']), ['listen'], () => tell('a real server', 'listen with p2p'))
  intercept(nodeModule('dgram'), ['createSocket'], () => tell('a real UDP socket', overP2P))
  intercept(dns, LOOKUPS, (name) => tell(`a real look-up (dns.${name})`, 'use p2p.discover'))
  intercept(dns?.['promises'], LOOKUPS, (name) => tell(`a real look-up (dns.promises.${name})`, 'use p2p.discover'))
  intercept(globalThis, ['fetch'], () => tell('a real request (fetch)', 'use p2p.fetch'))
  const processes = nodeModule('child_process')
  const ofProcess = (name: string): readonly [string, string] => [
    `a real process (child_process.${name})`,
    'give its work a host of its own',
  ]
  intercept(processes, PROCESSES, (name) => tell(...ofProcess(name)))
  tellSynchronous(processes, SYNCHRONOUS_PROCESSES, ofProcess)

  for (const name of CLASSES) patchClass(patches, globalThis, name)
  const threads = nodeModule('worker_threads')
  if (!threads) return
  patchClass(patches, threads, 'Worker', ['a real thread (Worker)', 'give its work a host of its own'])
  patchClass(patches, threads, 'MessageChannel')
  patchClass(patches, threads, 'BroadcastChannel')
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

function prototypeOf(constructor: unknown): unknown {
  return typeof constructor === 'function' ? (constructor.prototype as unknown) : undefined
}

/** Guards a constructor. */
function patchClass(patches: Patches, target: object, name: string, words = CLASS_LEAKS[name]): void {
  const descriptor = Object.getOwnPropertyDescriptor(target, name)
  if (!descriptor || !words) return
  if (typeof descriptor.value === 'function') {
    patches.set(target, name, guarded(descriptor.value as new () => object, words))
    return
  }
  // Made at the first look, which loads a part of Node that is not wanted before.
  patches.wrapGetter(
    target,
    name,
    (real) =>
      function get() {
        const value = guarded(real.call(target) as new () => object, words)
        Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false })
        return value
      },
  )
}

function guarded(constructor: new () => object, [what, instead]: readonly [string, string]): object {
  const scope = ambientScope()
  const proxy: object = new Proxy(constructor, {
    construct(real, args, newTarget) {
      scope.host()?.leak(what, instead)
      return Reflect.construct(real, args, newTarget === proxy ? real : newTarget) as object
    },
  })
  return proxy
}

/** Opens a file for reading over the bridge; its handle then works over it too. */
function openBridged(host: AmbientHost, real: AnyFunction, self: unknown, args: unknown[]): unknown {
  const [path, flags = 'r'] = args
  if (!host.isVirtual || (flags !== 'r' && flags !== 'rs' && flags !== 0)) {
    host.leak('a real file (fs.promises.open)', 'read files with runtime.files, and write none')
    return real.apply(self, args)
  }
  return host.bridge(`fs.promises.open ${String(path)}`, async () => {
    const handle = (await real.apply(self, args)) as object
    return new Proxy(handle, {
      get(target, key) {
        const value: unknown = Reflect.get(target, key, target)
        if (typeof value !== 'function') return value
        const method = value as AnyFunction
        // Streams and iterators read behind the bridge's back.
        if (typeof key !== 'string' || !['close', 'read', 'readFile', 'readv', 'stat'].includes(key))
          return method.bind(target) as unknown
        return (...rest: unknown[]) =>
          host.bridge(`reading ${String(path)}`, () => method.apply(target, rest) as Promise<unknown>)
      },
    })
  })
}
