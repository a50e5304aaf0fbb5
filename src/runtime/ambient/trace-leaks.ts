/**
 * Finds every use of something real by code of a host, however it got hold of it: Node tells of each asynchronous
 * resource that is made, with the stack. That costs half of the speed, so it is for finding what the guards do not.
 *
 * @module
 */
import { createHook } from 'node:async_hooks'
import { callerOf, currentStack, isPrinting } from './caller.ts'

/** What the resources are in words, and what to use instead. */
const RESOURCES: readonly (readonly [RegExp, string, string])[] = [
  [/^(?:Timeout|Immediate)$/, 'a real timer', 'use runtime.sleep or runtime.setTimer'],
  [
    /^(?:TCP|TLS|PIPE|UDP|HTTP|QUERYWRAP|GETADDRINFO|GETNAMEINFO|JSSTREAM)/,
    'a real socket',
    'talk to other hosts over p2p',
  ],
  [
    /^(?:FSREQ|FSReq|FILEHANDLE|FILEHANDLECLOSEREQ|DIRHANDLE|FSEVENT|STATWATCHER)/,
    'a real file',
    'use runtime.files or runtime.bridge',
  ],
  [/^PROCESSWRAP$/, 'a real process', 'give its work a host of its own'],
  [/^WORKER/, 'a real thread', 'give its work a host of its own'],
  [/^MESSAGEPORT$/, 'a real MessageChannel', 'use queueMicrotask or runtime.setTimer'],
  [/^(?:ZLIB|BROTLI|ZSTD)/, 'zlib in the background', 'use its synchronous form, or runtime.bridge'],
  // Signing and agreeing on keys make the same resource whether they call back or not, so they say nothing.
  [/^(?!SIGN|DERIVEBITS).*REQUEST$/, 'cryptography in the background', 'use its synchronous form, or runtime.bridge'],
]

/** Synchronous forms of Node's functions make resources too, and have done with them when they return. */
const SYNCHRONOUS = /Sync\]? \(node:/

/** Told of a leak: what, what to use instead, and the line. */
export type LeakListener = (what: string, instead: string, line: string | undefined) => void

/** The tracing of one simulation. */
export class LeakTracer {
  readonly #listener: LeakListener
  readonly #isHostRunning: () => boolean
  #busy = false
  readonly #hook = createHook({ init: (_id, type) => this.#init(type) })

  constructor(isHostRunning: () => boolean, listener: LeakListener) {
    this.#isHostRunning = isHostRunning
    this.#listener = listener
  }

  start(): void {
    // Made lazily, and not by whoever prints first.
    void process.stdout
    void process.stderr
    this.#hook.enable()
  }

  stop(): void {
    this.#hook.disable()
  }

  #init(type: string): void {
    if (type === 'PROMISE' || type === 'TickObject' || this.#busy || !this.#isHostRunning()) return
    const [, what, instead] = RESOURCES.find(([pattern]) => pattern.test(type)) ?? []
    if (what === undefined || instead === undefined) return
    this.#busy = true
    try {
      const stack = currentStack()
      // Without a line of its own it is the runtime's: a module that is being imported.
      const line = callerOf(stack)
      const isSynchronous = stack.some((frame) => SYNCHRONOUS.test(frame))
      if (line !== undefined && !isSynchronous && !isPrinting(stack)) this.#listener(`${what} (${type})`, instead, line)
    } finally {
      this.#busy = false
    }
  }
}
