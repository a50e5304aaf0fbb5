/**
 * A process in a namespace that is called, and answers.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { inNamespace } from './network.ts'

/** What such a process answers. */
export type Answer = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string })

/** The process. */
export class CalledProcess {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #calls = new Map<number, { resolve(result: unknown): void; reject(error: Error): void }>()
  #lastCall = 0
  #isOver = false

  /** @param name for errors */
  constructor(name: string, namespace: string, node: readonly string[]) {
    this.#name = name
    const [program = '', ...args] = inNamespace(namespace, [process.execPath, ...node])
    this.#child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', (answer: Answer) => {
      const call = this.#calls.get(answer.id)
      this.#calls.delete(answer.id)
      if ('error' in answer) call?.reject(new Error(`${name}: ${answer.error}`))
      else call?.resolve(answer.result)
    })
    this.#child.on('exit', (code, signal) => this.#over(`its process has ended (${signal ?? code})`))
    this.#child.on('error', (error) => this.#over(`its process cannot be started: ${error.message}`))
  }

  /** Calls it; what it answers. Rejects when it fails, and when the process ends. */
  call(message: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#isOver) throw new Error(`${this.#name}: its process has ended`)
      const id = ++this.#lastCall
      this.#calls.set(id, { resolve, reject })
      this.#child.send({ ...message, id })
    })
  }

  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  #over(why: string): void {
    this.#isOver = true
    for (const call of this.#calls.values()) call.reject(new Error(`${this.#name}: ${why}`))
    this.#calls.clear()
  }
}
