/**
 * The one error of this library. Every failure that leaves it is a {@link P2PError} whose `code` is a member of the
 * closed union {@link P2PErrorCode}, and whose further fields depend on that code ({@link P2PErrorFields}).
 *
 * @module
 */

/** The fields that an error of each code carries besides `code`, `message` and `cause`. */
export interface P2PErrorFields {
  /** The operating system or the network refused to move bytes: a port in use, no interface. */
  network: {}
  /** The handshake with a peer that was reached went wrong. */
  'connection-failed': {}
  /** The node id or name is unknown to every discovery source. */
  'node-not-found': { readonly node: string }
  /** A file could not be read or written. */
  io: { readonly path?: string }
  /** A text or byte string is no node id. */
  'invalid-node-id': { readonly value: string }
  /** Something took longer than it was allowed to. */
  timeout: { readonly afterMs: number }
  /** The connection is over; `by` says who ended it. */
  'connection-closed': {
    readonly closeCode: number
    readonly reason: string
    readonly by: 'local' | 'remote' | 'transport'
  }
  /** There is no way to send packets to the peer. */
  'no-route': { readonly node: string }
  /** A discovery source failed, as opposed to not knowing the name. */
  'discovery-failed': { readonly query: string }
  /** The peer sent bytes that the protocol does not allow. */
  protocol: {}
  /** A message is over the limit of the side that reports it. */
  'message-too-large': { readonly size: number; readonly max: number }
  /** `peer` may not do this. */
  unauthorized: { readonly peer: string }
  /** An option, environment variable or argument has a value that makes no sense. */
  'invalid-configuration': { readonly setting: string; readonly value: unknown }
  /** A value could not be turned into bytes or back. */
  serialization: {}
  /** The peer does not want this connection: no listener for its protocol, or `authorize` said no. */
  refused: { readonly node: string }
  /** A node cannot connect to itself. */
  'self-connect': {}
  /** The node listens for this protocol already. */
  'already-listening': { readonly alpn: string }
  /** A documented limit was crossed. */
  'limit-exceeded': { readonly limit: string; readonly max: number }
  /** `end()` closed the connection without the peer's word that everything had arrived. */
  'delivery-unconfirmed': {}
  /** The peer abandoned its sending side of the stream with this application code. */
  'stream-reset': { readonly streamCode: number }
  /**
   * The peer does not want more bytes on this stream, and said so with this application code; or, with code 0, this
   * side has finished or given up the stream already.
   */
  'stream-stopped': { readonly streamCode: number }
  /** The caller's `AbortSignal` fired; `cause` is its reason and `name` is `AbortError`. */
  aborted: {}
  /** A simulated host's program, or the scenario itself (no `host`), failed; `cause` is its error. */
  'program-failed': { readonly host: string | undefined; readonly seed: bigint; readonly virtualMs: number }
  /** This backend, or this protocol, cannot do `what`. */
  unsupported: { readonly what: string; readonly backend: string }
}

/** Every code a {@link P2PError} can have. The union is closed: a new code is a new major version. */
export type P2PErrorCode = keyof P2PErrorFields

const BRAND: unique symbol = Symbol.for('@moosicbox/p2p/error') as never

/** A {@link P2PError} of one code, with that code's fields. */
export type P2PErrorOf<Code extends P2PErrorCode> = Code extends P2PErrorCode
  ? P2PError & { readonly code: Code } & P2PErrorFields[Code]
  : never

/**
 * The only error that leaves this library (`fetch` alone wraps it in the `TypeError` that fetch's language asks for).
 *
 * @example
 * ```ts
 * import { P2PError } from '@moosicbox/p2p'
 *
 * const error: unknown = P2PError.of('timeout', 'no answer from the peer; is it running?', { afterMs: 30_000 })
 * if (P2PError.is(error, 'timeout')) console.log(error.afterMs) // 30000
 * ```
 */
export class P2PError extends Error {
  /** What kind of failure this is. */
  readonly code: P2PErrorCode

  private constructor(code: P2PErrorCode, message: string, fields: object, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    Object.assign(this, fields)
    // An own, hidden property: `instanceof` fails across two copies of this package, the brand does not.
    Object.defineProperty(this, BRAND, { value: true })
    Object.defineProperty(this, 'name', {
      value: code === 'aborted' ? 'AbortError' : 'P2PError',
      configurable: true,
      writable: true,
    })
  }

  /** Makes an error of `code`; `message` says what happened and what to do about it. */
  static of<Code extends P2PErrorCode>(
    code: Code,
    message: string,
    fields: P2PErrorFields[Code],
    options?: ErrorOptions,
  ): P2PErrorOf<Code> {
    return new P2PError(code, message, fields, options) as P2PErrorOf<Code>
  }

  /**
   * As {@link P2PError.of}, of something that ends for everybody who waits for it, now or later. Where it is made is in
   * the middle of this library and says nothing, and to find out costs more than all the rest: so it has no stack.
   */
  static ofEnd<Code extends P2PErrorCode>(code: Code, message: string, fields: P2PErrorFields[Code]): P2PErrorOf<Code> {
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    try {
      return P2PError.of(code, message, fields)
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
  }

  /** Whether `value` is a `P2PError`, from this or another copy of the package, and of `code` where one is given. */
  static is(value: unknown): value is P2PErrorOf<P2PErrorCode>
  static is<Code extends P2PErrorCode>(value: unknown, code: Code): value is P2PErrorOf<Code>
  static is(value: unknown, code?: P2PErrorCode): boolean {
    if (typeof value !== 'object' || value === null || !(BRAND in value)) return false
    return code === undefined || (value as unknown as P2PError).code === code
  }

  /** The error for an operation that its caller aborted: `name` is `AbortError`, `cause` the signal's reason. */
  static aborted(signal: AbortSignal, what: string): P2PErrorOf<'aborted'> {
    return P2PError.of('aborted', `${what} was aborted by its caller`, {}, { cause: signal.reason })
  }

  /** `value` if it is a `P2PError` already, else an error of `code` that keeps it as `cause`. */
  static from<Code extends P2PErrorCode>(
    value: unknown,
    code: Code,
    message: string,
    fields: P2PErrorFields[Code],
  ): P2PErrorOf<P2PErrorCode> {
    return P2PError.is(value)
      ? value
      : (P2PError.of(code, message, fields, { cause: value }) as P2PErrorOf<P2PErrorCode>)
  }
}
