/**
 * NATs of four kinds out of nftables. `wan` is the outside, `lan` the inside.
 *
 * What the kernel does by itself is two of them: `masquerade` keeps the port where it is free and lets back in what
 * answers (port-restricted), `masquerade fully-random` takes another port for each peer (symmetric). The other two let in
 * more than answers, for which the rules keep a map of their own: from the outside port, or from that and the address
 * that it was used to send to, to the host inside. With one host inside its port is always kept, so that the port is the
 * same on both sides.
 *
 * A packet that nobody asked for is dropped before it becomes anything that the kernel remembers: else the early probes
 * of a peer would occupy the very port that this side's answer needs, and move the mapping.
 *
 * @module
 */
import type { Place } from './model.ts'

/** How long a mapping is kept without a packet, in seconds: RFC 4787, REQ-5, as the simulator's presets. */
const MAPPING_S = 300

interface Kind {
  readonly masquerade: string
  /** What is remembered of a packet that goes out, and the map's type. */
  readonly open?: { readonly type: string; readonly out: string; readonly back: string }
}

const KINDS: Readonly<Record<Exclude<Place, 'none'>, Kind>> = {
  'full-cone': {
    masquerade: 'masquerade',
    open: { type: 'inet_service : ipv4_addr', out: 'udp sport : ip saddr', back: 'udp dport' },
  },
  'restricted-cone': {
    masquerade: 'masquerade',
    open: {
      type: 'inet_service . ipv4_addr : ipv4_addr',
      out: 'udp sport . ip daddr : ip saddr',
      back: 'udp dport . ip saddr',
    },
  },
  home: { masquerade: 'masquerade' },
  symmetric: { masquerade: 'masquerade fully-random' },
}

/** The rules of a router with such a NAT, for `nft -f`. */
export function natRules(place: Exclude<Place, 'none'>): string {
  const { masquerade, open } = KINDS[place]
  const map = open ? `map open { type ${open.type}; flags dynamic,timeout; size 65535; timeout ${MAPPING_S}s; }` : ''
  const remember = open ? `iifname "lan" oifname "wan" update @open { ${open.out} }` : ''
  const letIn = open ? `iifname "wan" dnat to ${open.back} map @open` : ''
  return `
table ip nat {
  ${map}
  chain prerouting { type nat hook prerouting priority dstnat; ${letIn}; }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ${remember}
    iifname "lan" oifname "wan" accept
    ct state established,related accept
    ct status dnat accept
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "wan" ct state new,invalid drop
  }
  chain postrouting { type nat hook postrouting priority srcnat; oifname "wan" ${masquerade}; }
}
`
}

/** What makes it forget: for `nft -f`; the kernel's own memory is flushed besides. */
export function forgetRules(place: Place): string {
  return place === 'full-cone' || place === 'restricted-cone' ? 'flush map ip nat open' : ''
}

/** A firewall in front of the router's NAT, in a table of its own, so that it can go without a trace. */
export const UDP_BLOCKED = `
table ip firewall {
  chain forward { type filter hook forward priority filter - 1; meta l4proto udp drop; }
}
`
export const UDP_PASSES = 'delete table ip firewall'
