/**
 * A small internet between endpoints of real iroh in one process, out of sockets on loopback: homes behind NATs, and lines
 * with a latency.
 *
 * Each endpoint has an address of 127.1.0.0/24 that is the inside of its home, and each home one of 127.2.0.0/24 that is
 * its outside. Whatever is sent to an outside address comes to a socket of this program, which asks the NATs of both
 * homes, the simulator's own, and sends it on from the outside address of the one to the inside address of the other.
 * A rule of the kernel's lets no packet from one inside to another, so that there is no way past it, whatever addresses
 * endpoints tell each other. The rule is for a network namespace of the tests' own (`scripts/isolated.mjs`).
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import type { RemoteInfo, Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Kernel } from '../../../src/simulator/kernel.ts'
import { AddressBook } from '../../../src/simulator/network/addresses.ts'
import type { SocketAddress } from '../../../src/simulator/network/addresses.ts'
import { Nat } from '../../../src/simulator/network/nat.ts'
import { natPreset } from '../../../src/simulator/network/nat-presets.ts'
import type { NatPresetName } from '../../../src/simulator/network/nat-presets.ts'
import { randomStream } from '../../../src/simulator/random.ts'

const INSIDE = '127.1.0'
const OUTSIDE = '127.2.0'
const TABLE = 'p2p_real_internet'
const MAX_SOCKETS = 500
/** What a burst of one window needs. */
const BUFFER_BYTES = 4_194_304

/** No way from one inside to another; nor by IPv6, which endpoints of the official door have besides. */
const RULES = `
table inet ${TABLE} {
  chain input {
    type filter hook input priority 0;
    ip saddr ${INSIDE}.0/24 ip daddr ${INSIDE}.0/24 drop
    meta nfproto ipv6 meta l4proto udp drop
  }
}
`

function nft(script: string): string | undefined {
  const { status, error, stderr } = spawnSync('nft', ['-f', '-'], { input: script, encoding: 'utf8' })
  if (error) return 'it needs nft, of the package nftables'
  return status === 0 ? undefined : `nft: ${stderr.trim()}`
}

/** Why there can be none here, in a line; undefined where there can. */
export function whyNoInternet(): string | undefined {
  if (!process.env['P2P_ISOLATED']) return 'it needs a network namespace of its own (scripts/isolated.mjs)'
  return nft(`${RULES}\ndelete table inet ${TABLE}`)
}

/** The simulator's NATs in real time. */
function realKernel(): Kernel {
  const startMs = performance.now()
  const unused = (): never => {
    throw new Error('a NAT plans nothing')
  }
  return {
    nowUs: () => Math.round((performance.now() - startMs) * 1000),
    random: (name) => randomStream(1n, name),
    audit: { record: () => {} },
    schedule: unused,
    timer: unused,
    soon: unused,
    woke: unused,
  }
}

interface Waiting {
  readonly dueMs: number
  readonly deliver: () => void
}

/** Datagrams come out in the order in which they went in, each after the latency. */
class Line {
  readonly #latencyMs: number
  readonly #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(latencyMs: number) {
    this.#latencyMs = latencyMs
  }

  push(deliver: () => void): void {
    this.#waiting.push({ dueMs: performance.now() + this.#latencyMs, deliver })
    if (!this.#timer) this.#wait()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#waiting.length = 0
  }

  #wait(): void {
    const [first] = this.#waiting
    // Never early: timers of Node are, by less than a millisecond.
    this.#timer = first && setTimeout(() => this.#release(), Math.max(0, Math.ceil(first.dueMs - performance.now())))
  }

  #release(): void {
    const nowMs = performance.now()
    while ((this.#waiting[0]?.dueMs ?? Number.POSITIVE_INFINITY) <= nowMs) this.#waiting.shift()?.deliver()
    this.#wait()
  }
}

/** Where one endpoint is. */
export interface Home {
  /** The address to bind. */
  readonly insideIp: string
  /** The NAT that it is behind. */
  readonly nat: NatPresetName | undefined
  /**
   * Where an endpoint of a home without a NAT is seen from outside.
   *
   * @param inside of its addresses, the one that it has bound
   */
  publish(inside: string): Promise<string>
}

interface Place {
  readonly nat: Nat | undefined
  readonly insideIp: string
  readonly outsideIp: string
}

/** Options of {@link RealInternet.open}. */
export interface RealInternetOptions {
  /** One way, from each endpoint to each other. @default 0 */
  readonly latencyMs?: number | undefined
}

/** The internet; see the module's comment. */
export class RealInternet {
  readonly #book = new AddressBook()
  readonly #kernel = realKernel()
  readonly #line: Line
  readonly #places = new Map<string, Place>()
  /** Sockets at outside addresses; each stays until the end. */
  readonly #sockets = new Map<SocketAddress, Promise<Socket>>()
  #isClosed = false

  private constructor(latencyMs: number) {
    this.#line = new Line(latencyMs)
  }

  /** @throws Error where {@link whyNoInternet} says why */
  static open({ latencyMs = 0 }: RealInternetOptions = {}): RealInternet {
    const why = process.env['P2P_ISOLATED'] ? nft(RULES) : whyNoInternet()
    if (why !== undefined) throw new Error(why)
    return new RealInternet(latencyMs)
  }

  /** A home behind a NAT, or none. */
  home(preset?: NatPresetName): Home {
    const number = this.#places.size + 1
    const insideIp = `${INSIDE}.${number}`
    const outsideIp = `${OUTSIDE}.${number}`
    const nat = preset && new Nat(this.#kernel, this.#book, insideIp, natPreset(preset), this.#book.ip(outsideIp))
    const place: Place = { nat, insideIp, outsideIp }
    this.#places.set(insideIp, place)
    this.#places.set(outsideIp, place)
    return {
      insideIp,
      nat: preset,
      publish: async (inside) => {
        const outside = this.#address(outsideIp, Number(inside.slice(inside.lastIndexOf(':') + 1)))
        await this.#socketAt(outside)
        return outside.toString()
      },
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#line.stop()
    const sockets = await Promise.all(this.#sockets.values())
    for (const socket of sockets) socket.close()
    const why = nft(`delete table inet ${TABLE}`)
    if (why !== undefined) throw new Error(why)
  }

  #address(ip: string, port: number): SocketAddress {
    return this.#book.socket(this.#book.ip(ip), port)
  }

  /** A packet that has come to an outside address. */
  async #forward(bytes: Uint8Array, { address, port }: RemoteInfo, to: SocketAddress): Promise<void> {
    const from = this.#places.get(address)
    const at = this.#places.get(to.ip.toString())
    if (!from || !at || address !== from.insideIp) return
    const source = from.nat
      ? from.nat.outbound('udp', this.#address(address, port), to)
      : this.#address(from.outsideIp, port)
    if (typeof source === 'number') return
    const inside = at.nat ? at.nat.inbound('udp', source, to) : this.#address(at.insideIp, to.port)
    // The mapping that the packet opened is there for answers, whatever becomes of it.
    const socket = await this.#socketAt(source)
    if (typeof inside === 'number' || this.#isClosed) return
    this.#line.push(() => socket.send(bytes, inside.port, inside.ip.toString()))
  }

  #socketAt(at: SocketAddress): Promise<Socket> {
    const known = this.#sockets.get(at)
    if (known) return known
    if (this.#sockets.size >= MAX_SOCKETS) throw new Error('the real internet has no socket left')
    const opening = this.#open(at)
    this.#sockets.set(at, opening)
    return opening
  }

  async #open(at: SocketAddress): Promise<Socket> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: BUFFER_BYTES, sendBufferSize: BUFFER_BYTES })
    // A peer that is gone answers with ICMP, which is no concern of the network.
    socket.on('error', () => {})
    socket.on('message', (bytes, from) => void this.#forward(bytes, from, at))
    socket.bind(at.port, at.ip.toString())
    await once(socket, 'listening')
    return socket
  }
}
