/**
 * Four or five nodes in two networks behind any pair of NATs and on the public internet talk in every way there is, to
 * each other and all at once, while everything goes wrong; then everything is healed. Nothing may be lost, doubled,
 * reordered or invented, all must find together again, and when all have closed nothing may be left.
 *
 * `npm run nightly` sweeps it; docs/testing.md says how to split that over machines.
 */
import { DefaultP2P, P2PError, P2PRouter, serve } from '@moosicbox/p2p'
import { scenario } from '@moosicbox/p2p/simtest'
import type { Scenario, SimTest } from '@moosicbox/p2p/simtest'
import { natPresets } from '@moosicbox/p2p/simulator'
import type { FaultProfileName, HostOptions, SimHost } from '@moosicbox/p2p/simulator'
import { Ledger } from './ledger.ts'
import { answerPost, EXPECTED, post, settle, Talk } from './traffic.ts'
import type { Party } from './traffic.ts'

const NAMES = ['ada', 'bert', 'cleo', 'dora', 'emil'] as const
const NATS = ['none', ...natPresets.map(({ name }) => name)] as const
/** Every pair of them, the simplest first. */
const PAIRS = NATS.flatMap((left) => NATS.map((right) => ({ name: `${left} and ${right}`, left, right })))
const LINKS = ['fibre', 'cable', 'dsl', '4g'] as const
const CONNECT_MS = 8_000
/**
 * A conversation that takes longer is given up. Without that a peer that crashed is noticed by the idle time-out of 30 s,
 * or three probe time-outs where that is longer (RFC 9000, 10.1): minutes, where a relay's line has stood still for a
 * while and what came then was measured as the round trip.
 */
const TALK_MS = 20_000
/**
 * The last conversation of before, an attempt that goes wrong, a request over a connection that only the peer knows to be
 * over, each until its deadline; and what is then to be done.
 */
const CONVERGE_MS = 3 * TALK_MS + CONNECT_MS + 22_000

export interface EnduranceOptions {
  readonly faults: FaultProfileName | 'none'
  /** For so long everybody talks, and things go wrong, in virtual milliseconds. */
  readonly troubleMs: number
  readonly seeds: number
  /** How many there are, at least and at most. @default [4, 5] */
  readonly hosts?: readonly [number, number]
}

/** How one host lives: it answers everybody and talks with everybody, until all is healed; then once more, with all. */
class Life {
  readonly #sim: SimTest
  readonly #ledger: Ledger
  readonly #hosts: SimHost[] = []
  /** Who has talked to whom since all was healed. */
  readonly #met = new Set<string>()
  isHealed = false

  constructor(sim: SimTest, ledger: Ledger) {
    this.#sim = sim
    this.#ledger = ledger
  }

  add(name: string, options: HostOptions): void {
    this.#hosts.push(this.#sim.host(name, options, (host) => this.#live(host)))
  }

  get haveAllMet(): boolean {
    return this.#met.size === this.#hosts.length * (this.#hosts.length - 1)
  }

  async #live(host: SimHost): Promise<void> {
    const ledger = this.#ledger
    ledger.started(host.name)
    const nameOf = (id: string): string => this.#hosts.find((it) => it.id.toString() === id)?.name ?? id
    const p2p = await DefaultP2P.create()
    const party: Party = { host, ledger, p2p, nameOf }
    const router = new P2PRouter().route('POST', '/sum/:id', (asked) => answerPost(party, asked))
    const server = await serve(p2p, router, {
      onError: (error) => {
        if (!P2PError.is(error) || !EXPECTED.has(error.code)) ledger.complain(`${host.name}'s server: ${String(error)}`)
      },
    })
    const listener = await p2p.listen()
    const listening = (async () => {
      for await (const connection of listener) {
        const talk = new Talk(party, connection, false)
        void settle(ledger, host.name, [talk.listen(), talk.say()])
      }
    })()
    const others = this.#hosts.filter((it) => it !== host)
    await Promise.all(others.map((peer) => this.#meet(party, peer)))
    while (!this.haveAllMet) await host.runtime.sleep(200)
    for (const { name } of others) ledger.ends(host.name, name)
    await server.close()
    await p2p.close()
    await listening
  }

  async #meet(party: Party, peer: SimHost): Promise<void> {
    const { host } = party
    while (!this.isHealed) {
      await host.runtime.sleep(host.runtime.random() * 4_000)
      if (host.runtime.random() < 0.4) await post(party, peer)
      else await this.#talk(party, peer, false)
    }
    while (!((await this.#talk(party, peer, true)) && (await post(party, peer)))) await host.runtime.sleep(500)
    this.#met.add(`${host.name} ${peer.name}`)
  }

  async #talk(party: Party, peer: SimHost, isCalm: boolean): Promise<boolean> {
    const { host, ledger, p2p } = party
    let isGood = false
    const talking = async (): Promise<void> => {
      const connection = await p2p.connect(peer.id, { timeoutMs: CONNECT_MS })
      const talk = new Talk(party, connection, isCalm)
      const listening = talk.listen()
      const late = host.runtime.setTimer(TALK_MS, () => connection.close(4, 'late'))
      isGood = await talk.say()
      if (!isCalm && host.runtime.random() < 0.2) connection.close(3, 'enough')
      else isGood = (await talk.end()) && isGood
      await listening
      late.cancel()
    }
    await settle(ledger, host.name, [talking()])
    return isGood
  }
}

/** A scenario of so much trouble. */
export function endurance(title: string, { faults, troubleMs, seeds, hosts = [4, 5] }: EnduranceOptions): Scenario {
  const options = { seeds, faults, faultsForMs: troubleMs, config: { defaultPacketLoss: 0.01 } }
  return scenario(title, options, async (sim) => {
    const ledger = new Ledger()
    const life = new Life(sim, ledger)
    const { left, right } = sim.pick(PAIRS, 'NATs')
    const lans = [
      sim.lan({ name: 'left', nat: left, link: sim.pick(LINKS, 'line of the left') }),
      sim.lan({ name: 'right', nat: right, link: sim.pick(LINKS, 'line of the right') }),
    ]
    const count = sim.integer(...hosts, 'hosts')
    for (const [i, name] of NAMES.slice(0, count).entries()) {
      life.add(name, i < 4 ? { lan: lans[i % 2] } : { link: 'fibre' })
    }
    sim.always('what arrives is what was sent', () => {
      if (ledger.complaint) throw new Error(ledger.complaint)
    })
    await sim.run({ forMs: troubleMs })
    life.isHealed = true
    await sim.converge('everybody has talked with everybody', () => life.haveAllMet, { withinMs: CONVERGE_MS })
    const convergedMs = sim.now - troubleMs
    sim.log(`converged after ${Math.round(convergedMs)} ms`)
    await sim.run({ forMs: 60_000 })
    ledger.check()
    if (ledger.complaint) throw new Error(ledger.complaint)
    nothingIsLeft(sim)
    for (const [kind, number] of Object.entries(ledger.counts)) sim.sometimes(`${kind} arrive`, number > 0)
    sim.sometimes('a stream is reset', ledger.resets > 0)
    sim.sometimes('a stream is stopped', ledger.stops > 0)
    sim.sometimes('all of something is confirmed', ledger.confirmed > 0)
    if (faults !== 'none') sim.sometimes('somebody starts again after a crash', ledger.starts > count)
  })
}

function nothingIsLeft(sim: SimTest): void {
  for (const { name, program, waits } of sim.states()) {
    if (program === 'running') throw new Error(`${name} has not ended:\n${sim.report()}`)
    if (waits.length > 0) throw new Error(`${name} has ended and still waits:\n${sim.report()}`)
  }
  const { nodes } = sim.netstat()
  if (nodes.length > 0) throw new Error(`nodes are left:\n${String(sim.netstat())}`)
}

export const hostile: Scenario = endurance('everything arrives, once and in order', {
  faults: 'hostile',
  troubleMs: 15_000,
  seeds: 500,
})
