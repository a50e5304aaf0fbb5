/**
 * What a simulated node knows about its network: what its relays say when they are asked over the simulated network, as
 * iroh's do, and not what the simulator knows.
 *
 * @module
 */
import { natKind } from '../core/network-report.ts'
import type { NatKind, NetworkReport } from '../core/network-report.ts'
import type { RelayClientSnapshot } from './relay-client.ts'
import type { RelayAnswer } from './relays.ts'

/** What there is to say about the NAT, UDP and relays. */
export type AskedReport = Pick<NetworkReport, 'nat' | 'udp' | 'publicAddresses' | 'homeRelay' | 'relays'>

/** Puts together what relays have said. */
export function reportOf(
  answers: readonly RelayAnswer[],
  boundAddresses: readonly string[],
  homeRelay: string | undefined,
  clients: readonly RelayClientSnapshot[],
): AskedReport {
  const observations = answers.flatMap(({ ip, observed }) =>
    observed === undefined ? [] : [{ observer: ip, address: observed }],
  )
  const nat: NatKind = natKind(observations, boundAddresses.map(hostOf))
  return {
    nat,
    udp: { ipv4: udp(answers, false), ipv6: udp(answers, true) },
    publicAddresses: [...new Set(observations.map(({ address }) => address))],
    homeRelay,
    relays: answers.map(({ url, roundTripUs }) => {
      const client = clients.find((candidate) => candidate.url === url)
      return {
        url,
        home: url === homeRelay,
        state: client?.state ?? 'standby',
        latencyMs: roundTripUs === undefined ? undefined : roundTripUs / 1000,
        reason: client?.failure,
      }
    }),
  }
}

/** Whether relays of one family have answered; that none has is known only when one was asked. */
function udp(answers: readonly RelayAnswer[], isIpv6: boolean): boolean | undefined {
  const asked = answers.filter(({ ip }) => ip.startsWith('[') === isIpv6)
  return asked.length === 0 ? undefined : asked.some(({ observed }) => observed !== undefined)
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'))
}
