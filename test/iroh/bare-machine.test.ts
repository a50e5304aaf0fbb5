/**
 * Machines that lack something: IPv6, every network, even loopback. In network namespaces; needs `npm run build`.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { namespacesWork, wayToNamespaces } from '../support/lan-hosts.ts'
import { DOORS } from './doors.ts'

const CHILD = fileURLToPath(new URL('./support/bare-child.mjs', import.meta.url))
const DEFAULT_RELAYS_CHILD = fileURLToPath(new URL('./support/default-relays-child.mjs', import.meta.url))
const LIMIT_MS = 60_000
const LOOPBACK = { relay: 'disabled', bind: ['127.0.0.1:0', '[::1]:0'] }
const NO_IPV6 = 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && ip link set lo up'

interface Outcome {
  readonly answer?: string
  readonly bound?: number
  readonly code?: string
  readonly message?: string
}

/** What `program` prints in a namespace of its own that `prepare` has made. */
function inNamespace(prepare: string, program: readonly string[]): unknown {
  const shell = `${prepare} && exec "$@"`
  const command = [...wayToNamespaces(), 'sh', '-ec', shell, 'sh', process.execPath, '--no-warnings', ...program]
  const [enter = '', ...args] = command
  const { status, stdout, stderr } = spawnSync(enter, args, { encoding: 'utf8', timeout: LIMIT_MS })
  if (status !== 0) throw new Error(`it ended with ${status}: ${stderr}`)
  return JSON.parse(stdout) as unknown
}

/** What two nodes come to in a namespace of their own that `prepare` has made. */
function nodes(door: string, prepare: string, options: object): Outcome {
  return inNamespace(prepare, [CHILD, door, JSON.stringify(options)]) as Outcome
}

describe.skipIf(!namespacesWork).each(DOORS)(
  'through the $name door (skipped without network namespaces)',
  ({ name }) => {
    test('without IPv6 nodes are bound to IPv4 alone, and meet', { timeout: LIMIT_MS }, () => {
      expect(nodes(name, NO_IPV6, LOOPBACK)).toMatchObject({ answer: 'here', bound: 1 })
    })

    test('an address of IPv6 that is asked for is missed', { timeout: LIMIT_MS }, () => {
      expect(nodes(name, NO_IPV6, { relay: 'disabled', bind: ['127.0.0.1:0', '[2001:db8::7]:0'] })).toMatchObject({
        code: 'network',
      })
    })

    test(
      'without a network nodes are created all the same, and say that there is no way',
      { timeout: LIMIT_MS },
      () => {
        expect(nodes(name, 'ip link set lo down', { relay: 'disabled' })).toMatchObject({ code: 'no-route' })
      },
    )

    test('without a network relays that cannot be reached hold nobody up', { timeout: LIMIT_MS }, () => {
      const relay = ['https://192.0.2.1/']
      expect(nodes(name, 'ip link set lo up', { ...LOOPBACK, relay })).toMatchObject({ answer: 'here' })
    })

    test('with the default relays nobody but relays is asked for', { timeout: LIMIT_MS }, () => {
      // The name servers of this machine, on this one.
      const own = 'for a in $(sed -n "s/^nameserver //p" /etc/resolv.conf); do ip addr add "$a" dev lo || true; done'
      const outcome = inNamespace(`ip link set lo up; ${own}`, [DEFAULT_RELAYS_CHILD, name])
      const { byId, byAddress, names } = outcome as { byId?: string; byAddress?: string; names: string[] }
      expect([byId, byAddress]).toEqual(['no-route', 'aborted'])
      expect(names).not.toEqual([])
      // Nor does a name server learn a name when it is asked for its own.
      expect(names.filter((asked) => !/relay|\.arpa$/.test(asked))).toEqual([])
    })
  },
)
