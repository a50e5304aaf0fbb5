/**
 * Plain datagrams of the lab's machines, and what is found out with them.
 *
 * @module
 */
import type { CalledProcess } from './process.ts'
import type { Received, UdpCall } from './udp-program.ts'

/** What was found. */
export interface Finding {
  readonly what: string
  readonly seen: string
  readonly expected: string
  readonly isRight: boolean
}

/** A socket of a machine. */
export class UdpSocket {
  readonly #process: CalledProcess
  readonly #index: number
  readonly port: number

  constructor(process: CalledProcess, index: number, port: number) {
    this.#process = process
    this.#index = index
    this.port = port
  }

  static async bind(process: CalledProcess, echoes = false): Promise<UdpSocket> {
    const call = { method: 'bind', echoes } satisfies Omit<UdpCall & { method: 'bind' }, 'id'>
    const { index, port } = (await process.call(call)) as { readonly index: number; readonly port: number }
    return new UdpSocket(process, index, port)
  }

  /** When it was sent. */
  async send(text: string, to: string): Promise<number> {
    return (await this.#process.call({ method: 'send', socket: this.#index, text, to })) as number
  }

  async received(): Promise<readonly Received[]> {
    return (await this.#process.call({ method: 'received', socket: this.#index })) as readonly Received[]
  }
}
