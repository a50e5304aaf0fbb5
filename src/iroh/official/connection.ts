/**
 * A connection over the binding, which closes connections that are garbage-collected: the endpoint holds this one, and
 * this one its streams, until they are over.
 *
 * @module
 */
import type * as iroh from '@number0/iroh'
import type {
  CarrierClose,
  CarrierPackets,
  CarrierReceiveStream,
  CarrierSendStream,
  CarrierStream,
} from '../../core/carrier.ts'
import type { P2PPath } from '../../core/connection.ts'
import { P2PError } from '../../core/errors.ts'
import { NodeId } from '../../core/node-id.ts'
import type { Runtime, RuntimeTimer } from '../../core/runtime.ts'
import { P2P_ALPN } from '../../core/system.ts'
import type { IrohCarrierConnection } from '../binding.ts'
import { closeError, TRANSPORT_ENDS } from '../errors.ts'
import type { ByteCodec } from './bytes.ts'
import { datagramError, parseClose, streamError } from './errors.ts'
import { AheadOpener } from './opening.ts'
import { OfficialReceiveStream, OfficialSendStream } from './streams.ts'
import type { StreamHost } from './streams.ts'

/** The binding's own limit, which cannot be set. */
const TRANSPORT_IDLE_MS = 30_000

/** How often paths are looked at while somebody wants to know; the binding's own watching aborts the process. */
const PATH_POLL_MS = 500

/** What a connection needs of its endpoint. */
export interface ConnectionHost {
  readonly codec: ByteCodec
  readonly runtime: Runtime
  readonly idleTimeoutMs: number
}

/** One connection. */
export class OfficialConnection implements IrohCarrierConnection, StreamHost {
  readonly remoteId: NodeId
  readonly alpn: string
  readonly closed: Promise<CarrierClose>
  readonly codec: ByteCodec
  readonly runsAhead: boolean
  readonly #raw: iroh.Connection
  readonly #runtime: Runtime
  readonly #held = new Set<object>()
  readonly #opener: AheadOpener<iroh.BiStream>
  readonly #pathListeners = new Set<() => void>()
  #pathTimer: RuntimeTimer | undefined
  #idleTimer: RuntimeTimer | undefined
  #local: CarrierClose | undefined
  #over: CarrierClose | undefined
  #closedError: P2PError | undefined

  constructor(raw: iroh.Connection, host: ConnectionHost) {
    this.#raw = raw
    this.#runtime = host.runtime
    this.codec = host.codec
    this.remoteId = NodeId.fromPublicKey(host.codec.decode(raw.remoteId().toBytes()))
    this.alpn = new TextDecoder().decode(host.codec.decode(raw.alpn()))
    this.#opener = new AheadOpener(() => raw.openBi())
    // Other protocols know no frame that gives up a stream.
    this.runsAhead = this.alpn === P2P_ALPN
    this.closed = raw.closed().then((text) => this.#closed(text))
    if (host.idleTimeoutMs < TRANSPORT_IDLE_MS) this.#watchIdleness(host.idleTimeoutMs)
  }

  openBi(): Promise<CarrierStream> {
    const opened = this.runsAhead ? this.#opener.take() : this.#raw.openBi()
    return opened.then(this.#both, this.#fail)
  }

  openBiNow(): CarrierStream | undefined {
    const stream = this.#opener.takeNow()
    return stream && this.#both(stream)
  }

  async openUni(): Promise<CarrierSendStream> {
    try {
      return new OfficialSendStream(await this.#raw.openUni(), this)
    } catch (error) {
      throw this.failure(error)
    }
  }

  acceptBi(): Promise<CarrierStream> {
    return this.#raw.acceptBi().then(this.#both, this.#fail)
  }

  async acceptUni(): Promise<CarrierReceiveStream> {
    try {
      return new OfficialReceiveStream(await this.#raw.acceptUni(), this)
    } catch (error) {
      throw this.failure(error)
    }
  }

  sendDatagram(bytes: Uint8Array): void {
    try {
      this.#raw.sendDatagram(this.codec.encode(bytes))
    } catch (error) {
      throw datagramError(error, bytes.length, this.maxDatagramBytes(), () => this.#closeSoFar())
    }
  }

  async readDatagram(): Promise<Uint8Array> {
    try {
      return this.codec.decode(await this.#raw.readDatagram())
    } catch (error) {
      throw this.failure(error)
    }
  }

  maxDatagramBytes(): number {
    return this.#over ? 0 : (this.#raw.maxDatagramSize() ?? 0)
  }

  close(code: number, reason: string): void {
    this.#close(code, { closeCode: code, reason, by: 'local' })
  }

  paths(): readonly P2PPath[] {
    // The binding goes on listing paths after the end.
    if (this.#over) return []
    return this.#raw.paths().map(({ isRelay, remoteAddr, isSelected, rttMs }) => ({
      kind: isRelay ? 'relay' : 'direct',
      remote: remoteAddr,
      selected: isSelected,
      rttMs,
    }))
  }

  packets(): CarrierPackets | undefined {
    if (this.#over) return undefined
    // UDP datagrams, which are packets but for those of the handshake, of which several may share one.
    const { udpTxDatagrams: sent, lostPackets: lost } = this.#raw.stats()
    return { sent, lost }
  }

  onPathChange(listener: () => void): Disposable {
    // An object of its own, so that one listener given twice is called twice.
    const entry = (): void => listener()
    this.#pathListeners.add(entry)
    if (!this.#over) this.#pathTimer ??= this.#pollPaths(this.#pathsText())
    return {
      [Symbol.dispose]: () => {
        this.#pathListeners.delete(entry)
        if (this.#pathListeners.size > 0) return
        this.#pathTimer?.cancel()
        this.#pathTimer = undefined
      },
    }
  }

  hold(stream: object): void {
    if (!this.#over) this.#held.add(stream)
  }

  release(stream: object): void {
    this.#held.delete(stream)
  }

  failure(error: unknown): P2PError {
    if (P2PError.is(error)) return error
    return streamError(error, this.#ended)
  }

  /** Made once: several calls wait when a connection ends, and the stack of an error is what costs. */
  readonly #ended = (options: ErrorOptions): P2PError | undefined => {
    if (this.#closedError) return this.#closedError
    const close = this.#closeSoFar()
    return close && (this.#closedError = closeError(close, options))
  }

  /** How it ended, if it has. */
  #closeSoFar(): CarrierClose | undefined {
    const text = this.#raw.closeReason()
    return text === null ? undefined : parseClose(text, this.#local)
  }

  readonly #both = (stream: iroh.BiStream): CarrierStream => ({
    send: new OfficialSendStream(stream.send, this),
    receive: new OfficialReceiveStream(stream.recv, this),
  })

  readonly #fail = (error: unknown): never => {
    throw this.failure(error)
  }

  #close(code: number, close: CarrierClose): void {
    if (this.#local || this.#raw.closeReason() !== null) return
    this.#local = close
    this.#raw.close(BigInt(code), this.codec.encodeText(close.reason))
  }

  #closed(text: string): CarrierClose {
    const close = parseClose(text, this.#local)
    this.#over = close
    this.#held.clear()
    this.#opener.close()
    this.#pathTimer?.cancel()
    this.#idleTimer?.cancel()
    this.#pathListeners.clear()
    return close
  }

  #pathsText(): string {
    return this.paths()
      .map(({ kind, remote, selected }) => `${kind} ${remote} ${selected}`)
      .sort()
      .join('\n')
  }

  #pollPaths(before: string): RuntimeTimer {
    return this.#runtime.setTimer(PATH_POLL_MS, () => {
      const now = this.#pathsText()
      this.#pathTimer = this.#pollPaths(now)
      if (now !== before) for (const listener of this.#pathListeners) listener()
    })
  }

  /** Both sides say something at least every 5 seconds, so a count that stands still means that the peer is gone. */
  #watchIdleness(timeoutMs: number): void {
    let received = -1
    let heardMs = this.#runtime.now()
    const look = (): void => {
      const now = this.#runtime.now()
      const count = this.#raw.stats().udpRxDatagrams
      if (count !== received) {
        received = count
        heardMs = now
      }
      if (now - heardMs >= timeoutMs) {
        this.#close(0, TRANSPORT_ENDS.timedOut)
        return
      }
      this.#idleTimer = this.#runtime.setTimer(timeoutMs / 8, look)
    }
    look()
  }
}
