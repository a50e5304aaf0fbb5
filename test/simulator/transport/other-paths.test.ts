import { expect, test } from 'vitest'
import { randomStream } from '../../../src/simulator/random.ts'
import { resolveTransportConfig } from '../../../src/simulator/transport/config.ts'
import { OtherPaths } from '../../../src/simulator/transport/other-paths.ts'
import { Path } from '../../../src/simulator/transport/path.ts'

function paths(maxMtuBytes: number): [Path, Path, Path] {
  const config = resolveTransportConfig({ maxMtuBytes })
  const random = randomStream(1n, 'paths')
  const [first, second, third] = [1, 2, 3].map((id) => new Path(id, [], config, 0, random))
  return [first as Path, second as Path, third as Path]
}

const probeTimeoutUs = (path: Path): number => path.id * 1000

test('what is known of other paths is their earliest timer and longest probe time-out, until something happens', () => {
  const others = new OtherPaths()
  const all = paths(1200)
  const [selected, second, third] = all
  expect([others.areKnown, others.rest(0)]).toEqual([false, false])
  selected.lossTimerUs = 1
  second.keepAliveTimerUs = 700
  third.idleTimerUs = 600
  third.data.acks.deadlineUs = 800
  others.settle(all, selected, probeTimeoutUs)
  expect([others.areKnown, others.rest(10_000_000), others.deadlineUs, others.probeTimeoutUs]).toEqual([
    true,
    true,
    600,
    3000,
  ])
  others.disturb()
  expect([others.areKnown, others.rest(0)]).toEqual([false, false])
})

test('they rest until a search for a larger datagram begins, and not while an acknowledgement could go along', () => {
  const others = new OtherPaths()
  const all = paths(1400)
  const [selected, second] = all
  // Of a path that is new the search begins at once.
  others.settle(all, selected, probeTimeoutUs)
  expect(others.rest(0)).toBe(false)
  const narrow = paths(1200)
  others.settle(narrow, narrow[0], probeTimeoutUs)
  expect(others.rest(0)).toBe(true)
  for (let number = 0; number < 20; number++) {
    narrow[1].data.acks.register(number, 0)
    narrow[1].data.acks.received(number, false, 0)
  }
  others.settle(narrow, narrow[0], probeTimeoutUs)
  expect(others.areKnown).toBe(false)
  expect(second.data.acks.isLazilyDue).toBe(false)
})
