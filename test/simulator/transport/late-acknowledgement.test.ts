/**
 * An acknowledgement that waits in a node while its relay is away, as noq takes it: a round trip of so many seconds. Both
 * sides have more to send than their windows hold, so that neither acknowledges anything but with a probe of its own.
 */
import { describe, expect, test } from 'vitest'
import type { Route } from '../../../src/simulator/transport/path.ts'
import { EXACT, Pair, pattern, Writer } from './pair.ts'
import type { Side, TraceEntry } from './pair.ts'

const RELAY: Route = { kind: 'relay', address: 'https://relay/' }
/** One way. Round trips of 81 ms, a variance that does not count, and 25 ms make probe time-outs of 107 ms. */
const LATENCY_US = 40_500
const MAX_ACK_DELAY_US = 25_000

interface Outage {
  /** When the client's last probe before the relay was back went out, since it began to send. */
  readonly lastProbeUs: number
  /** When it sent next. */
  readonly nextUs: number
  /** What the server was told of the connection's end; undefined where it lives. */
  readonly closed: string | undefined
  /** What the client was told, and when. */
  readonly clientClosed: string | undefined
  readonly clientClosedUs: number
}

/** The server's one acknowledgement comes `ackUs` after the client has sent, and everything else since then is lost until then. */
function outage(ackUs: number): Outage {
  let startUs = Number.POSITIVE_INFINITY
  let backUs = Number.POSITIVE_INFINITY
  const sent = { client: 0, server: 0 }
  const link = (side: Side, _packet: unknown, nowUs: number): number[] => {
    if (nowUs < startUs || nowUs >= backUs) return [LATENCY_US]
    if (sent[side]++ > 0) return []
    return [side === 'client' ? LATENCY_US : backUs - nowUs]
  }
  const pair = new Pair({ link, config: EXACT, route: RELAY })
  pair.run(() => pair.server?.sink.connected === true)
  for (let i = 0; i < 60; i++) {
    const id = pair.client.connection.openStream(false) as number
    new Writer(id, pattern(100)).act(pair.client)
    pair.runUntil(pair.nowUs + 2_000_000)
  }
  const stream = (end: 'client' | 'serverEnd'): void => {
    const id = pair[end].connection.openStream(false) as number
    const writer = new Writer(id, pattern(200_000))
    pair[end].act = () => writer.act(pair[end])
  }

  startUs = pair.nowUs
  backUs = startUs + ackUs
  const before = pair.trace.length
  stream('client')
  // The server has acknowledged the one packet that came, and fills its own window.
  pair.runUntil(startUs + LATENCY_US + MAX_ACK_DELAY_US + 1_000)
  expect(sent.server).toBe(1)
  stream('serverEnd')
  pair.run(() => pair.client.sink.close !== undefined, startUs + 40_000_000)
  const clientClosedUs = pair.nowUs - startUs

  const client = pair.trace.slice(before).filter((entry: TraceEntry) => entry.side === 'client')
  const nextIndex = client.findIndex(({ atUs }) => atUs >= backUs)
  const at = (index: number): number => (client[index]?.atUs ?? Number.POSITIVE_INFINITY) - startUs
  const { close } = pair.serverEnd.sink
  // Two probes go together.
  return {
    lastProbeUs: at(nextIndex - 2),
    nextUs: at(nextIndex),
    closed: close?.reason,
    clientClosed: pair.client.sink.close?.reason,
    clientClosedUs,
  }
}

describe('an acknowledgement that has waited for a relay', () => {
  // Twice seen in packet by packet logs of real iroh 1.4.1 (npm run natlab -- --only outage-12), in seconds from the
  // loss of the relay: last probe at 12.262, acknowledgement at 13.833 of what had been sent at -0.047, next probe at
  // 27.864; and 12.305, 13.967, 28.062.
  test.each([
    [13_880_000, 15_602_000],
    [14_014_000, 15_757_000],
  ])('that comes after %i us puts off the next probe by %i us, as a real one', (ackUs, realUs) => {
    const { lastProbeUs, nextUs, closed, clientClosed } = outage(ackUs)
    expect(clientClosed).toBeUndefined()
    expect(Math.abs(lastProbeUs - 12_260_000)).toBeLessThan(100_000)
    expect(Math.abs(nextUs - lastProbeUs - realUs)).toBeLessThan(50_000)
    expect(closed).toBeUndefined()
  })

  test('costs the connection when that is later than the idle time-out of the peer, whose probes stay unanswered', () => {
    const { lastProbeUs, nextUs, closed, clientClosed, clientClosedUs } = outage(16_500_000)
    expect(nextUs - lastProbeUs).toBeGreaterThan(18_000_000)
    expect(closed).toMatch(/no sign of life/)
    // The probe that came too late is answered with a stateless reset: real ones ended after 31 to 34 s.
    expect(clientClosed).toMatch(/no longer knows/)
    expect(clientClosedUs - nextUs).toBe(2 * LATENCY_US)
    expect(clientClosedUs).toBeLessThan(34_000_000)
  })
})
