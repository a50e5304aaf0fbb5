/**
 * Floods, in short: `npm run bench -- flood` has 10,000 strangers.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import { runFlood } from '../../bench/flood/flood.mjs'
import { DOORS, NATIVE_DOOR } from './doors.ts'

/** A loaded machine is slow to everybody; what is not served at all waits for 10 s and fails. */
const LIMIT_MS = 120_000

describe.each(DOORS)('a server through the $name door that is flooded', ({ name }) => {
  test(
    'serves an honest client all the while',
    async () => {
      const { backend, phases } = await runFlood({
        door: name,
        attackers: NATIVE_DOOR.here ? 'native' : 'official',
        attacks: [
          ['strangers', 500],
          ['streams', 3000],
          ['packets', 3000],
        ],
        quietMs: 300,
      })
      expect(backend).toBe(`iroh (${name})`)
      for (const phase of phases) {
        expect(phase.failed).toEqual([])
        expect(phase.requests).toBeGreaterThan(phase.ms > 500 ? 0 : -1)
        expect(phase.rssMiB).toBeLessThan(400)
      }
      // Through the native door JavaScript never hears of strangers: it is asked for the honest one alone.
      const asked = phases[1]?.asked ?? 0
      expect(asked >= 500).toBe(name === 'official')
    },
    LIMIT_MS,
  )
})
