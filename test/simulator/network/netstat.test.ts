import { expect, test } from 'vitest'
import { formatTables, netstat, networkTables, Topology } from '../../../src/simulator/network/index.ts'
import { TestKernel } from '../support/test-kernel.ts'
import { mailbox } from './support.ts'

test('the state of the network as text', () => {
  const kernel = new TestKernel()
  const topology = new Topology(kernel, { defaultLatencyMs: 10, defaultPacketLoss: 0 })
  const lan = topology.lan({ name: 'home', nat: 'home', ipv6: true })
  const phone = mailbox(kernel, topology.host('phone', { lan }))
  const server = mailbox(kernel, topology.host('server', { link: { bandwidthLimitBitsPerSecond: 8000 }, ip6: true }))
  const tv = topology.host('tv', { lan })
  tv.isUp = false
  lan.forwardPort(tv, 80)
  for (const to of server.socket.localAddresses) phone.socket.send(to, 'x', 472)
  phone.socket.send('198.18.9.9:1', 'lost', 1)
  kernel.runFor(100_000)
  topology.fabric.graph.updateLink('tv', 'home', { isActive: false })
  topology.fabric.graph.addPartition(['home'], ['server'], { direction: 'a-to-b' })
  topology.fabric.graph.addPartition(['tv'])
  expect(formatTables(networkTables(netstat(topology.fabric)))).toBe(
    `
packets: 3 sent, 0 delivered, 2 under way, 1 dropped: 1 no-host

hosts
  interface  address                      network  state  socket    sent  received
  phone      192.168.1.2 2001:db8:0:1::1  home     up     udp 7000  3     0
  server     198.18.0.2 2001:db8::1       public   up     udp 7000  0     0
  tv         192.168.1.3 2001:db8:0:1::2  home     DOWN   -

NAT mappings
  LAN   proto  inside            outside          expires in  lets in
  home  udp    192.168.1.3:80    198.18.0.1:80    forwarded   anybody
  home  udp    192.168.1.2:7000  198.18.0.1:7000  29.9 s      198.18.0.2:7000 198.18.9.9:1

firewalls
  LAN   proto  inside                  outside                 expires in  lets in
  home  udp    [2001:db8:0:1::1]:7000  [2001:db8:0:1::1]:7000  29.9 s      [2001:db8::1]:7000

links: 8, of which wait, have dropped or corrupted, or are down:
  link               state  packets  queue            dropped  corrupted
  internet > server  up     2        925 B, 925.0 ms  -        -
  tv > home          DOWN   0        -                -        -

partitions
  number  from         to
  0       home  -/->   server
  1       tv    <-/->  everybody else`.trimStart(),
  )
})

test('of many rows the first are printed, and the others counted', () => {
  const rows = Array.from({ length: 250 }, (_, i) => [`${i}`])
  const text = formatTables([{ title: 'numbers', head: ['n'], rows }])
  expect(text.split('\n')).toHaveLength(103)
  expect(text.endsWith('… and 150 more')).toBe(true)
})
