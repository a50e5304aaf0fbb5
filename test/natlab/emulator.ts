/**
 * The emulator of the lab's internet, `emulator.rs`: built with rustc where it is not yet, and told what to do.
 *
 * @module
 */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

/** Builds the program into `path` unless it is there and newer than its sources. Throws when rustc fails. */
export function buildEmulator(source: string, path: string): void {
  const newest = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if ([source, join(dirname(source), 'way.rs')].every((file) => newest > statSync(file).mtimeMs)) return
  mkdirSync(dirname(path), { recursive: true })
  // Renamed into place from a folder of its own: another lab may be starting it, or building it too, and labs in process
  // namespaces have the same process numbers.
  const folder = mkdtempSync(`${path}.`)
  try {
    const fresh = join(folder, 'emulator')
    const args = ['-O', '--edition', '2024', '--deny', 'warnings', source, '-o', fresh]
    const { status, error, stderr } = spawnSync('rustc', args, { encoding: 'utf8' })
    if (error) throw new Error(`rustc cannot be started: ${error.message}`)
    if (status !== 0) throw new Error(`rustc failed:\n${stderr}`)
    renameSync(fresh, path)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A line of the emulator. */
export interface EmulatedLine {
  readonly name: string
  /** The file of the network namespace, and what the device in it is called. */
  readonly namespace: string
  readonly device: string
  readonly address: string
  readonly delayMs: number
}

/** What has gone over a line. */
export interface LineCounts {
  readonly sent: number
  readonly received: number
  readonly lost: number
  /** By a queue that was full. */
  readonly dropped: number
  readonly unroutable: number
}

/** The running program. */
export class Emulator {
  readonly #child: ChildProcess
  readonly #waiting: { resolve(answer: string): void; reject(error: Error): void }[] = []

  /** @param seed decides which packets are lost, as far as the order in which they come is the same */
  constructor(path: string, seed: number) {
    this.#child = spawn(path, [String(seed)], { stdio: ['pipe', 'pipe', 'inherit'] })
    const { stdout } = this.#child
    if (!stdout) throw new Error('the emulator has no output')
    createInterface(stdout).on('line', (line) => {
      const next = this.#waiting.shift()
      if (line.startsWith('ok')) next?.resolve(line.slice(3))
      else next?.reject(new Error(`emulator: ${line}`))
    })
    const fail = (why: string): void => {
      for (const call of this.#waiting.splice(0)) call.reject(new Error(why))
    }
    this.#child.on('error', (error) => fail(`the emulator cannot be started: ${error.message}`))
    this.#child.on('exit', () => fail('the emulator has ended'))
  }

  async addLine({ name, namespace, device, address, delayMs }: EmulatedLine): Promise<void> {
    await this.#tell(`line ${name} ${namespace} ${device} ${address} delay=${delayMs} delay=${delayMs}`)
  }

  /** @param loss probability */
  async setLine(name: string, delayMs: number, loss: number): Promise<void> {
    const way = `delay=${delayMs},loss=${loss * 100}`
    await this.setWays(name, way, way)
  }

  /** Each way in the words of `way.rs`. */
  async setWays(name: string, up: string, down: string): Promise<void> {
    await this.#tell(`set ${name} ${up} ${down}`)
  }

  async setAddress(name: string, address: string): Promise<void> {
    await this.#tell(`address ${name} ${address}`)
  }

  /** How late packets came out since this was asked last, in milliseconds. */
  async lateMs(): Promise<{ readonly worst: number; readonly mean: number }> {
    const [worst = 0, mean = 0] = (await this.#tell('late')).split(' ').map((us) => Number(us) / 1000)
    return { worst, mean }
  }

  async counts(): Promise<Map<string, LineCounts>> {
    const words = (await this.#tell('stats')).split(' ')
    const counts = new Map<string, LineCounts>()
    for (let i = 0; i + 5 < words.length; i += 6) {
      const [sent = 0, received = 0, lost = 0, dropped = 0, unroutable = 0] = words.slice(i + 1, i + 6).map(Number)
      counts.set(words[i] ?? '', { sent, received, lost, dropped, unroutable })
    }
    return counts
  }

  #tell(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.#child.stdin?.write(`${command}\n`)
    })
  }
}
