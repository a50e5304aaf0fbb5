/**
 * What the tests of the network share.
 *
 * @module
 */
import { P2PError } from '../../../src/core/errors.ts'
import {
  type AttachOptions,
  Fabric,
  type LinkOptions,
  type NetworkInterface,
  type Packet,
  type Socket,
} from '../../../src/simulator/network/index.ts'
import { TestKernel, type TestKernelOptions } from '../support/test-kernel.ts'

/** A packet with the time of its arrival. */
interface Arrival {
  readonly atUs: number
  readonly packet: Packet
}

/** A socket that keeps what arrives. */
export interface Mailbox {
  readonly socket: Socket
  readonly arrivals: Arrival[]
  /** The payloads, in order of arrival. */
  payloads(): unknown[]
}

/** Binds a socket that keeps what arrives. */
export function mailbox(kernel: TestKernel, iface: NetworkInterface, port: number = 7000): Mailbox {
  const arrivals: Arrival[] = []
  const socket = iface.bind(port, (packet) => arrivals.push({ atUs: kernel.nowUs(), packet }))
  return { socket, arrivals, payloads: () => arrivals.map(({ packet }) => packet.payload) }
}

/** A fabric with two public hosts: the link from `alice` up, and perfect links else. */
export interface Pair {
  readonly kernel: TestKernel
  readonly fabric: Fabric
  readonly alice: Mailbox
  readonly bob: Mailbox
}

/** See {@link Pair}. */
export function pair(up: LinkOptions, kernelOptions: TestKernelOptions = {}, bob: AttachOptions = {}): Pair {
  const kernel = new TestKernel(kernelOptions)
  const fabric = new Fabric(kernel)
  const alice = mailbox(kernel, fabric.attach('alice', { up }))
  return { kernel, fabric, alice, bob: mailbox(kernel, fabric.attach('bob', bob)) }
}

/** The `P2PError` that `action` throws: its code, and the setting or limit that its message begins with or names. */
export function failure(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (!P2PError.is(error)) throw error
    if (P2PError.is(error, 'limit-exceeded')) return `${error.code}: ${error.limit}`
    return `${error.code}: ${error.message.split(' = ')[0]}`
  }
  return 'no error'
}
