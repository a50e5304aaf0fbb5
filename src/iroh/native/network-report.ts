/**
 * What iroh has found out about the network, as the addon writes it (`native/src/relays.rs`).
 *
 * @module
 */
import type { DoorReport } from '../binding.ts'

/** How the endpoint was opened. */
export interface ReportContext {
  /** Whether routers are asked to forward ports. */
  readonly portMapping: boolean
  /** Whether relays are asked where they see this node; else that UDP got nowhere says nothing. */
  readonly discoversAddresses: boolean
}

/** Reads the lines; none when iroh has not found out anything yet. */
export function parseReport(text: string, context: ReportContext): DoorReport {
  const lines = text.split('\n').map((line) => line.split(' '))
  const all = (name: string): string[][] => lines.flatMap(([first, ...values]) => (first === name ? [values] : []))
  const flag = (name: string): boolean | undefined => {
    const value = all(name)[0]?.[0]
    return value === undefined ? undefined : value === 'true'
  }
  const udp = (name: string): boolean | undefined => {
    const value = flag(name)
    return value === true || context.discoversAddresses ? value : undefined
  }
  return {
    udp: { ipv4: udp('udp4'), ipv6: udp('udp6') },
    mappingVaries: flag('varies4') ?? flag('varies6'),
    publicAddresses: all('global').flatMap(([address]) => (address === undefined ? [] : [address])),
    captivePortal: flag('captive'),
    portMapping: context.portMapping ? 'unknown' : 'off',
    latencies: all('latency').flatMap(([, micros, url]) =>
      url === undefined ? [] : [{ url, latencyMs: Number(micros) / 1000 }],
    ),
  }
}
