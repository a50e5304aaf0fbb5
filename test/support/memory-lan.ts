/**
 * A local network in memory, on which everybody hears everybody, themselves included.
 *
 * @module
 */
import type { Link, LinkEvents, LinkState, OpenLink } from '../../src/discovery/index.ts'

/** What a host of a {@link MemoryLan} has. */
export interface LanHost {
  readonly open: OpenLink
  /** How many links it has open. */
  readonly links: () => number
  /** Takes the interface down, with this error, or brings it up. */
  readonly set: (error: Error | undefined) => void
}

/** A network; see the module's comment. */
export class MemoryLan {
  /** Every packet that was sent, and by which address. */
  readonly sent: { readonly from: string; readonly bytes: Uint8Array }[] = []
  readonly #links = new Set<{ readonly events: LinkEvents; readonly up: () => boolean }>()

  /** A packet that somebody else sends. */
  inject(bytes: Uint8Array, loopback = false): void {
    for (const { events, up } of Array.from(this.#links)) if (up()) events.onPacket(bytes, 'lan0 IPv4', loopback)
  }

  /** A host with these addresses. */
  host(...addresses: string[]): LanHost {
    let error: Error | undefined
    const own = new Set<LinkEvents>()
    const open: OpenLink = (events): Link => {
      const member = { events, up: (): boolean => error === undefined }
      this.#links.add(member)
      own.add(events)
      return {
        send: (bytes) => {
          if (error) return Promise.resolve(0)
          this.sent.push({ from: addresses[0] ?? '', bytes })
          this.inject(bytes)
          return Promise.resolve(1)
        },
        addresses: () => new Set(error ? [] : addresses),
        states: (): LinkState[] => [{ interface: 'lan0', family: 'IPv4', error }],
        close: () => {
          this.#links.delete(member)
          own.delete(events)
          return Promise.resolve()
        },
      }
    }
    const set = (now: Error | undefined): void => {
      error = now
      if (!now) for (const events of Array.from(own)) events.onUp('lan0')
    }
    return { open, links: () => own.size, set }
  }
}
