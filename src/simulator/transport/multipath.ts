/**
 * The paths of a connection: opening, proving, moving and closing them, and which of them data takes.
 *
 * @module
 */
import type { ConnectionCore } from './core.ts'
import { maxDatagramBytes } from './datagrams.ts'
import { Path } from './path.ts'
import type { Route } from './path.ts'

const NEVER = Number.POSITIVE_INFINITY
/** Paths a connection may have at a time. */
const MAX_PATHS = 8
/** How long a path that both sides have given up is remembered, in its probe time-outs. */
const DRAIN_TIMEOUTS = 3
/** How much shorter a round trip must be to be worth a change of the path (iroh, RTT_SWITCHING_MIN). */
const SWITCH_GAIN_US = 5_000
/** How much IPv6 is given ahead (iroh, IPV6_RTT_ADVANTAGE). */
const IPV6_ADVANTAGE_US = 3_000
/** A direct path as quick as this needs no other (iroh, GOOD_ENOUGH_LATENCY). */
const GOOD_ENOUGH_US = 10_000

/** Manages the paths of one connection. */
export class Multipath {
  readonly #core: ConnectionCore
  /** Where the peer may find this side. */
  readonly #candidates: string[] = []
  /** The highest path number used. */
  #lastPathId = 0

  constructor(core: ConnectionCore) {
    this.#core = core
  }

  /** This side is somewhere else: all is measured anew, and the peer may find it at `addresses` and nowhere else. */
  onNetworkChange(addresses: readonly string[], nowUs: number): void {
    const core = this.#core
    core.others.disturb()
    this.#candidates.length = 0
    this.#candidates.push(...addresses)
    if (core.state !== 'established') return
    // noq sends to another of the peer's ids then, and goes on comparing the token of the old one (connection/mod.rs:6004).
    core.resetToken = undefined
    const hasRelay = core.paths.some((path) => path.kind === 'relay' && path.isOpen)
    for (const path of core.paths.slice()) {
      if (path.kind === 'direct' && hasRelay) {
        this.close(path, nowUs)
        continue
      }
      path.forgetMeasurements(core.config, nowUs)
      path.challengesSent = 0
      path.challengePending = path.kind === 'direct'
      path.data.pingPending = true
    }
    if (core.nat) core.controls.push(...core.nat.replaceLocal(this.#candidates, nowUs))
    this.search(nowUs)
    core.sink.onPathsChanged()
  }

  /** Adds addresses where the peer may find this side; it is told of them when a better path is wanted. */
  addCandidates(addresses: readonly string[], nowUs: number): void {
    const core = this.#core
    for (const address of addresses) if (!this.#candidates.includes(address)) this.#candidates.push(address)
    if (core.state === 'established') this.search(nowUs)
  }

  /** Opens another path along `route`, which must still be shown to work; undefined when there are too many. */
  open(id: number, route: Route, nowUs: number): Path | undefined {
    const core = this.#core
    const known = core.paths.find((path) => path.routes.includes(route))
    if (known || core.paths.length >= MAX_PATHS || id <= this.#lastPathId) return known
    const path = new Path(id, [route], core.config, nowUs, core.random)
    this.#lastPathId = id
    core.others.disturb()
    path.challengePending = true
    path.validated = core.role === 'client' || (core.nat?.hasReached(route) ?? false)
    path.idleTimerUs = nowUs + core.config.pathIdleTimeoutUs
    core.paths.push(path)
    return path
  }

  /** The number for another path; the client gives them out. */
  get nextId(): number {
    return this.#lastPathId + 1
  }

  /** The peer has answered on a path: it works both ways. */
  onProven(path: Path, nowUs: number): void {
    const core = this.#core
    core.others.disturb()
    path.guessRtt(nowUs - path.challengeSentUs)
    path.challengeToken = -1
    path.challengeTimerUs = NEVER
    path.validated = true
    path.proven = true
    const before = core.selected
    this.#select(nowUs)
    if (core.selected === before) core.sink.onPathsChanged()
  }

  /** The client is somewhere else: a path goes on there, with little until it has answered (RFC 9000, 9.3). */
  migrate(path: Path, route: Route, nowUs: number): void {
    const core = this.#core
    core.others.disturb()
    path.routes = [route]
    path.forgetMeasurements(core.config, nowUs)
    path.validated = false
    path.receivedBytes = 0
    path.sentBytes = 0
    path.challengePending = true
    path.challengesSent = 0
    core.sink.onPathsChanged()
  }

  /**
   * Gives up a path. What was on its way along it may still be acknowledged, and goes again along another one when it has
   * not been by the time that the path is forgotten (noq-proto 1.4, connection/mod.rs:690).
   */
  close(path: Path, nowUs: number): void {
    const core = this.#core
    const index = core.paths.indexOf(path)
    if (index < 0 || core.paths.length === 1) return
    core.paths.splice(index, 1)
    core.abandoned.push(path)
    core.others.disturb()
    path.abandon()
    core.recovery.arm(path, nowUs)
    core.controls.push({ type: 'path-abandon', pathId: path.id })
    this.#select(nowUs)
    core.sink.onPathsChanged()
  }

  /** The peer has given up a path, and waits for the same from this side. */
  onAbandoned(pathId: number, nowUs: number): void {
    const core = this.#core
    const path = core.path(pathId)
    if (path && !path.isAbandoned) this.close(path, nowUs)
    if (!path?.isAbandoned) {
      // The last one, or one of which no packet has come: the peer need not wait.
      if (path || pathId > this.#lastPathId) core.controls.push({ type: 'path-abandon', pathId })
      return
    }
    if (path.drainTimerUs === NEVER) path.drainTimerUs = nowUs + DRAIN_TIMEOUTS * core.recovery.probeTimeoutUs(path)
  }

  /** Does what has become due on the paths that were given up. */
  handleTimeout(nowUs: number): void {
    const { abandoned, recovery } = this.#core
    for (let i = abandoned.length - 1; i >= 0; i--) {
      const path = abandoned[i] as Path
      if (path.drainTimerUs <= nowUs) {
        abandoned.splice(i, 1)
        recovery.loseAll(path)
      } else if (path.lossTimerUs <= nowUs) recovery.onTimer(path, nowUs)
    }
  }

  /** Moves data to a better path, where there is one. */
  #select(nowUs: number): void {
    const core = this.#core
    let best: Path | undefined = core.paths.includes(core.selected) && core.selected.isOpen ? core.selected : undefined
    for (const path of core.paths) if (path.isOpen && isBetter(path, best)) best = path
    if (best && best !== core.selected) {
      core.selected = best
      core.others.disturb()
      core.datagrams.dropLargerThan(maxDatagramBytes(best.mtuBytes))
      core.sink.onPathsChanged()
    }
    this.search(nowUs)
    // One direct path is enough to keep alive; the client decides which, so that not each side closes another.
    if (core.role === 'server' || core.selected.kind === 'relay') return
    for (const path of core.paths.slice()) {
      if (path !== core.selected && path.kind === 'direct' && path.isOpen) this.close(path, nowUs)
    }
  }

  /** Whether no better path than the one that data takes is looked for. */
  get isGoodEnough(): boolean {
    const { kind, rtt } = this.#core.selected
    return kind === 'direct' && rtt.smoothedUs <= GOOD_ENOUGH_US
  }

  /** Tells the peer where else this side may be found, and looks for a direct path while there is none. */
  search(nowUs: number): void {
    const core = this.#core
    if (!core.nat) return
    core.nat.want(core.selected.kind === 'relay', nowUs)
    core.laterControls.push(...core.nat.addLocal(this.#candidates, nowUs))
  }
}

/**
 * Whether data should rather take `path` than the one it takes. Any direct path is better than one over a relay; among
 * equals the round trip decides.
 */
export function isBetter(path: Path, than: Path | undefined): boolean {
  if (!than || path === than) return !than
  if (path.kind !== than.kind) return path.kind === 'direct'
  return biasedRttUs(path) + SWITCH_GAIN_US <= biasedRttUs(than)
}

function biasedRttUs({ rtt, routes }: Path): number {
  return rtt.smoothedUs - (routes[0]?.address.startsWith('[') === true ? IPV6_ADVANTAGE_US : 0)
}
