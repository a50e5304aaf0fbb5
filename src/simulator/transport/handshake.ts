/**
 * The handshake of QUIC with TLS 1.3 and raw public keys on both sides (RFC 9001, RFC 7250): four flights in one round
 * trip. The hellos travel in the open; everything after them is sealed with keys that only the two sides have, and each
 * side proves its identity over both hellos, so that none of them can have been exchanged on the way.
 *
 * @module
 */
import type { NodeId } from '../../core/node-id.ts'
import { MAX_ACK_DELAY_US } from './config.ts'
import type { TransportConfig } from './config.ts'
import { utf8Length } from './frames.ts'
import { IdentityProof, KeyShare } from './identity.ts'
import type { Agree, Identity, SessionKeys } from './identity.ts'
import type { ResetToken } from './reset.ts'

/** What a side tells the other of its limits (RFC 9000, 18.2). */
export interface TransportParameters {
  readonly idleTimeoutUs: number
  readonly maxAckDelayUs: number
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  readonly maxBidiStreams: number
  readonly maxUniStreams: number
}

/** The parameters that follow from a configuration. */
export function parametersOf(config: TransportConfig): TransportParameters {
  return Object.freeze({
    idleTimeoutUs: config.idleTimeoutUs,
    maxAckDelayUs: config.maxAckDelayUs,
    streamWindowBytes: config.streamWindowBytes,
    connectionWindowBytes: config.connectionWindowBytes,
    maxBidiStreams: config.maxBidiStreams,
    maxUniStreams: config.maxUniStreams,
  })
}

/** Whether a peer may say that of itself. What it says decides how long it is waited for. */
export function areValid(parameters: TransportParameters): boolean {
  const { idleTimeoutUs, maxAckDelayUs, ...others } = parameters
  if (!(idleTimeoutUs >= 0 && Number.isSafeInteger(maxAckDelayUs) && maxAckDelayUs >= 0)) return false
  return (
    maxAckDelayUs < MAX_ACK_DELAY_US &&
    Object.values(others).every((value) => Number.isSafeInteger(value) && value >= 0)
  )
}

// Bytes of the TLS messages with X25519, Ed25519 raw public keys and SHA-256, as rustls writes them.
const CLIENT_HELLO_BYTES = 250
const SERVER_HELLO_BYTES = 90
const ENCRYPTED_EXTENSIONS_BYTES = 120
const CERTIFICATE_REQUEST_BYTES = 42
const CERTIFICATE_BYTES = 57
const CERTIFICATE_VERIFY_BYTES = 72
const FINISHED_BYTES = 36

/** The client's first flight, in the open. */
export class ClientHello {
  readonly share: KeyShare
  readonly alpns: readonly string[]
  readonly parameters: TransportParameters
  readonly sizeBytes: number

  constructor(share: KeyShare, alpns: readonly string[], parameters: TransportParameters) {
    this.share = share
    this.alpns = Object.freeze(alpns.slice())
    this.parameters = parameters
    this.sizeBytes = CLIENT_HELLO_BYTES + alpns.reduce((sum, alpn) => sum + 1 + utf8Length(alpn), 0)
    Object.freeze(this)
  }
}

/** The server's first message, in the open. */
export class ServerHello {
  readonly share: KeyShare
  readonly sizeBytes: number

  constructor(share: KeyShare) {
    this.share = share
    this.sizeBytes = SERVER_HELLO_BYTES
    Object.freeze(this)
  }
}

/** The rest of the server's flight, sealed. */
export class ServerFlight {
  readonly alpn: string
  readonly parameters: TransportParameters
  readonly proof: IdentityProof
  /** What tells the client that the server has forgotten the connection. */
  readonly resetToken: ResetToken | undefined
  readonly sizeBytes: number

  constructor(alpn: string, parameters: TransportParameters, proof: IdentityProof, resetToken?: ResetToken) {
    this.alpn = alpn
    this.resetToken = resetToken
    this.parameters = parameters
    this.proof = proof
    this.sizeBytes =
      ENCRYPTED_EXTENSIONS_BYTES +
      utf8Length(alpn) +
      CERTIFICATE_REQUEST_BYTES +
      CERTIFICATE_BYTES +
      CERTIFICATE_VERIFY_BYTES +
      FINISHED_BYTES
  }
}

/** The client's second flight, sealed. */
export class ClientFlight {
  readonly proof: IdentityProof
  readonly sizeBytes: number

  constructor(proof: IdentityProof) {
    this.proof = proof
    this.sizeBytes = CERTIFICATE_BYTES + CERTIFICATE_VERIFY_BYTES + FINISHED_BYTES
  }
}

/** What CRYPTO frames carry, each whole. */
export type HandshakeMessage = ClientHello | ServerHello | ServerFlight | ClientFlight

const CLIENT_CONTEXT = 'handshake client'
const SERVER_CONTEXT = 'handshake server'

/** The client's part. */
export class ClientHandshake {
  readonly hello: ClientHello
  /** Who must answer. */
  readonly expected: NodeId
  readonly #identity: Identity
  readonly #agree: Agree
  #serverHello: ServerHello | undefined
  #keys: SessionKeys | undefined

  constructor(identity: Identity, expected: NodeId, alpns: readonly string[], parameters: TransportParameters) {
    const { share, agree } = KeyShare.generate()
    this.#identity = identity
    this.expected = expected
    this.#agree = agree
    this.hello = new ClientHello(share, alpns, parameters)
  }

  /** The session's keys, once a server's hello is there. */
  get keys(): SessionKeys | undefined {
    return this.#keys
  }

  /** Takes a server's hello; a second one is ignored. */
  onServerHello(message: ServerHello): void {
    if (this.#serverHello) return
    this.#serverHello = message
    this.#keys = this.#agree(message.share)
  }

  /** The client's answer to the server's flight, undefined when that is not from the expected peer. */
  onServerFlight(message: ServerFlight): ClientFlight | undefined {
    const transcript = this.#transcript()
    const id = transcript && IdentityProof.verify(message.proof, SERVER_CONTEXT, transcript)
    if (!transcript || !id?.equals(this.expected) || !this.hello.alpns.includes(message.alpn)) return undefined
    return new ClientFlight(new IdentityProof(this.#identity, CLIENT_CONTEXT, transcript))
  }

  /** Forgets the server that has answered, as it was not the one. */
  forgetServer(): void {
    this.#serverHello = undefined
    this.#keys = undefined
  }

  #transcript(): object[] | undefined {
    return this.#serverHello && [this.hello, this.#serverHello]
  }
}

/** The server's part. */
export class ServerHandshake {
  readonly #identity: Identity
  readonly #clientHello: ClientHello
  readonly keys: SessionKeys
  readonly hello: ServerHello
  readonly flight: ServerFlight

  constructor(
    identity: Identity,
    clientHello: ClientHello,
    alpn: string,
    parameters: TransportParameters,
    resetToken: ResetToken | undefined,
  ) {
    const { share, agree } = KeyShare.generate()
    this.#identity = identity
    this.#clientHello = clientHello
    this.keys = agree(clientHello.share)
    this.hello = new ServerHello(share)
    const proof = new IdentityProof(this.#identity, SERVER_CONTEXT, [clientHello, this.hello])
    this.flight = new ServerFlight(alpn, parameters, proof, resetToken)
  }

  /** Who the client is, undefined when it does not prove it. */
  onClientFlight(message: ClientFlight): NodeId | undefined {
    return IdentityProof.verify(message.proof, CLIENT_CONTEXT, [this.#clientHello, this.hello])
  }
}

/** The first of the client's protocols that the server serves. */
export function negotiate(offered: readonly string[], served: readonly string[]): string | undefined {
  return offered.find((alpn) => served.includes(alpn))
}
