/**
 * The relays of the lab: ours, and iroh's own with its discovery of addresses.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeAuthority, makeCertificate } from '../support/certificates.ts'
import { inNamespace } from './network.ts'
import type { Machine } from './network.ts'

/**
 * `ours` is `p2p-relay` over http, with reflectors; `iroh` is `iroh-relay` over https, with QUIC address discovery. Both
 * tell their clients where they see them.
 */
export type RelayKind = 'ours' | 'iroh'

const START_MS = 20_000
const LOOK_EVERY_MS = 20

/** What a relay is started from. */
export interface RelayPrograms {
  /** The built command `p2p-relay`. */
  readonly ours: string
  /** The program `iroh-relay`, where it is installed. */
  readonly iroh: string | undefined
}

/** A relay that can be killed and started again. */
export class Relay {
  readonly url: string
  /** Authorities in PEM that its clients have to trust. */
  readonly roots: readonly string[]
  readonly #machine: Machine
  readonly #command: readonly string[]
  readonly #port: number
  #child: ChildProcess | undefined

  constructor(kind: RelayKind, machine: Machine, programs: RelayPrograms, folder: string) {
    this.#machine = machine
    const { address } = machine
    if (kind === 'ours') {
      this.#port = 3340
      this.url = `http://${address}:${this.#port}/`
      this.roots = []
      const reflectors = ['--reflector-port', '7843', '--reflector-port', '7844']
      this.#command = [process.execPath, programs.ours, '--host', address, '--port', String(this.#port), ...reflectors]
      return
    }
    if (programs.iroh === undefined) throw new Error('iroh-relay is not installed')
    mkdirSync(folder, { recursive: true })
    const authority = makeAuthority(folder)
    const { certFile, keyFile } = makeCertificate(folder, 'relay', [`IP:${address}`], authority)
    const config = join(folder, 'relay.toml')
    writeFileSync(config, irohConfig(address, certFile, keyFile))
    this.#port = 443
    this.url = `https://${address}/`
    this.roots = [authority.cert]
    this.#command = [programs.iroh, '--config-path', config]
  }

  kill(): void {
    this.#child?.kill('SIGKILL')
    this.#child = undefined
  }

  /** Resolves when it takes connections. */
  async start(): Promise<void> {
    const [program = '', ...args] = inNamespace(this.#machine.namespace, this.#command)
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: Buffer) => {
        if (output.length < 10_000) output += text.toString()
      })
    }
    const giveUpMs = Date.now() + START_MS
    while (!(await this.#answers())) {
      if (child.exitCode !== null || Date.now() > giveUpMs) throw new Error(`the relay does not start:\n${output}`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
  }

  /** Asked from its own machine, so that no line is in between. */
  async #answers(): Promise<boolean> {
    const probe = `require('node:net').connect(${this.#port},'${this.#machine.address}').on('connect',()=>process.exit(0)).on('error',()=>process.exit(1))`
    const [program = '', ...args] = inNamespace(this.#machine.namespace, [process.execPath, '-e', probe])
    const child = spawn(program, args, { stdio: 'ignore' })
    const [code] = (await once(child, 'exit')) as [number | null]
    return code === 0
  }
}

function irohConfig(address: string, certFile: string, keyFile: string): string {
  return `
enable_relay = true
http_bind_addr = "${address}:80"
enable_quic_addr_discovery = true
enable_metrics = false
[tls]
https_bind_addr = "${address}:443"
quic_bind_addr = "${address}:7842"
cert_mode = "Manual"
manual_cert_path = ${JSON.stringify(certFile)}
manual_key_path = ${JSON.stringify(keyFile)}
`
}
