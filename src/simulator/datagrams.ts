/**
 * What the simulator's endpoints and relays need of the network: sockets.
 *
 * @module
 */

/** The address of a socket: equal ones of one network are the same object. */
export interface DatagramAddress {
  /** `ip:port` */
  toString(): string
}

/** A packet that has arrived. */
export interface ReceivedDatagram {
  readonly source: DatagramAddress
  /** Which of the receiver's addresses it came to. */
  readonly destination?: DatagramAddress | undefined
  readonly payload: unknown
  /** Whether bits were flipped on the way. @default false */
  readonly isCorrupted?: boolean | undefined
}

/** A bound socket. */
export interface DatagramSocket {
  readonly localAddress: DatagramAddress
  /** All of them, where there are several. */
  readonly localAddresses?: readonly DatagramAddress[] | undefined
  /** Which of them packets to `destination` come from by themselves; only where there are several interfaces. */
  usualSource?(destination: DatagramAddress): DatagramAddress
  /**
   * `sizeBytes` is the payload that the object stands for.
   *
   * @param from which of its addresses it comes from, where it still has that; by itself it is what routing says
   */
  send(destination: DatagramAddress | string, payload: unknown, sizeBytes: number, from?: DatagramAddress): void
  close(): void
}

/** What sockets are bound on: a network interface of the fabric. */
export interface DatagramInterface {
  /** @param port 0 for any */
  bind(
    port: number,
    handler: (datagram: ReceivedDatagram) => void,
    options?: { readonly protocol: 'udp' | 'tcp' },
  ): DatagramSocket
}
