/**
 * Links by names people know, for hosts and LANs: one way up to the network, one way down from it.
 *
 * The figures are typical values, rounded, after the published measurements that each preset names; where a report gives
 * round trips, half goes each way. They are averages over regions and years, meant to be plausible, not to predict any
 * one line: measure yours and give its figures where it matters. Jitter and loss of idle lines are the authors' estimates
 * unless a source is named for them.
 *
 * @module
 */
import { checkOptions, invalidConfiguration } from '../../core/config.ts'
import type { LinkOptions } from './link-options.ts'

/** The presets' names. */
export type LinkPresetName =
  | 'lan'
  | 'wifi'
  | 'fibre'
  | 'cable'
  | 'dsl'
  | '3g'
  | '4g'
  | '5g'
  | 'satellite-geo'
  | 'satellite-leo'
  | 'transatlantic'

/** A line, both ways. */
export interface LinePair {
  /** Towards the network. */
  readonly up: LinkOptions
  /** From the network. */
  readonly down: LinkOptions
}

/** A line with a name. */
export interface LinkPreset extends LinePair {
  readonly name: LinkPresetName
  /** Where the figures come from. */
  readonly source: string
}

const MBIT = 1_000_000
const PAIR_FIELDS: readonly string[] = ['up', 'down', 'name', 'source']

/** The presets, from the fastest to the slowest of each kind. */
export const linkPresets: readonly LinkPreset[] = Object.freeze(
  (
    [
      {
        name: 'lan',
        source: 'Gigabit Ethernet through one switch: a few tenths of a millisecond for a round trip.',
        up: { latencyMs: 0.1, bandwidthLimitBitsPerSecond: 1000 * MBIT },
        down: { latencyMs: 0.1, bandwidthLimitBitsPerSecond: 1000 * MBIT },
      },
      {
        name: 'wifi',
        source:
          'Hop latency with a median of 3 ms and a long tail: Sui et al., "Characterizing and Improving WiFi Latency in ' +
          'Large-Scale Operational Networks", MobiSys 2016 (a campus: its 90th percentile of 20 ms is more than a home ' +
          'has). Rate: a home with 802.11ac at medium range.',
        up: { latencyMs: 1, jitterMs: 1, jitterDistribution: 'long-tail', bandwidthLimitBitsPerSecond: 100 * MBIT },
        down: { latencyMs: 1, jitterMs: 1, jitterDistribution: 'long-tail', bandwidthLimitBitsPerSecond: 100 * MBIT },
      },
      {
        name: 'fibre',
        source:
          'Round trips of 12 to 15 ms: FCC, Measuring Broadband America, fixed broadband report 2016 (Verizon Fios). ' +
          'Rate: a common tier.',
        up: { latencyMs: 6, jitterMs: 0.5, bandwidthLimitBitsPerSecond: 100 * MBIT },
        down: { latencyMs: 6, jitterMs: 0.5, bandwidthLimitBitsPerSecond: 300 * MBIT },
      },
      {
        name: 'cable',
        source:
          'Between fibre and DSL, as in every report of the FCC, Measuring Broadband America (2011: fibre 24, cable 32, ' +
          'DSL 49 ms on average; less since). Rate: a common tier, with cable’s narrow way up.',
        up: { latencyMs: 10, jitterMs: 2, packetLoss: 0.0005, bandwidthLimitBitsPerSecond: 20 * MBIT },
        down: { latencyMs: 10, jitterMs: 2, packetLoss: 0.0005, bandwidthLimitBitsPerSecond: 200 * MBIT },
      },
      {
        name: 'dsl',
        source:
          'Round trips of 37 to 40 ms: FCC, Measuring Broadband America, fixed broadband report 2016 (Verizon). ' +
          'Rate: ADSL2+ at medium distance.',
        up: { latencyMs: 19, jitterMs: 2, packetLoss: 0.001, bandwidthLimitBitsPerSecond: 1 * MBIT },
        down: { latencyMs: 19, jitterMs: 2, packetLoss: 0.001, bandwidthLimitBitsPerSecond: 16 * MBIT },
      },
      {
        name: '5g',
        source:
          'Rate: global medians of 166 and 21 Mbit/s, Ookla, "Growing and Slowing: The State of 5G Worldwide in 2021". ' +
          'Round trips of 30 ms: the authors’ estimate for non-standalone networks, of which no report was at hand.',
        up: {
          latencyMs: 15,
          jitterMs: 3,
          jitterDistribution: 'long-tail',
          packetLoss: 0.0005,
          bandwidthLimitBitsPerSecond: 21 * MBIT,
        },
        down: {
          latencyMs: 15,
          jitterMs: 3,
          jitterDistribution: 'long-tail',
          packetLoss: 0.0005,
          bandwidthLimitBitsPerSecond: 166 * MBIT,
        },
      },
      {
        name: '4g',
        source:
          'Averages of 14.7 and 13.6 Mbit/s, round trips of 53 ms: Ofcom, research document on the 4G and 3G networks of the ' +
          'UK, April 2015 (five cities).',
        up: {
          latencyMs: 26.5,
          jitterMs: 5,
          jitterDistribution: 'long-tail',
          packetLoss: 0.001,
          bandwidthLimitBitsPerSecond: 13.6 * MBIT,
        },
        down: {
          latencyMs: 26.5,
          jitterMs: 5,
          jitterDistribution: 'long-tail',
          packetLoss: 0.001,
          bandwidthLimitBitsPerSecond: 14.7 * MBIT,
        },
      },
      {
        name: '3g',
        source: 'Averages of 5.9 and 1.6 Mbit/s, round trips of 63.5 ms: Ofcom, as for 4g.',
        up: {
          latencyMs: 32,
          jitterMs: 20,
          jitterDistribution: 'long-tail',
          packetLoss: 0.005,
          bandwidthLimitBitsPerSecond: 1.6 * MBIT,
        },
        down: {
          latencyMs: 32,
          jitterMs: 20,
          jitterDistribution: 'long-tail',
          packetLoss: 0.005,
          bandwidthLimitBitsPerSecond: 5.9 * MBIT,
        },
      },
      {
        name: 'satellite-leo',
        source:
          'Round trips of 40 to 60 ms to European servers: Michel et al., "A First Look at Starlink Performance", IMC 2022. ' +
          'Rate: medians of 87 and 14 Mbit/s, Ookla, United States, third quarter of 2021.',
        up: { latencyMs: 25, jitterMs: 5, packetLoss: 0.002, bandwidthLimitBitsPerSecond: 14 * MBIT },
        down: { latencyMs: 25, jitterMs: 5, packetLoss: 0.002, bandwidthLimitBitsPerSecond: 87 * MBIT },
      },
      {
        name: 'satellite-geo',
        source:
          'Round trips of 600 ms at the least (Michel et al., IMC 2022). Rate: medians of about 19 and 3 Mbit/s, Ookla, ' +
          'United States, third quarter of 2021 (HughesNet, Viasat).',
        up: { latencyMs: 305, jitterMs: 10, packetLoss: 0.002, bandwidthLimitBitsPerSecond: 3 * MBIT },
        down: { latencyMs: 305, jitterMs: 10, packetLoss: 0.002, bandwidthLimitBitsPerSecond: 19 * MBIT },
      },
      {
        name: 'transatlantic',
        source:
          'London to New York: 5,570 km by the great circle are 56 ms for a round trip in glass; backbones publish 70 to ' +
          '76 ms (such as Verizon’s IP latency statistics).',
        up: { latencyMs: 36, jitterMs: 0.5, packetLoss: 0.0001, bandwidthLimitBitsPerSecond: 10_000 * MBIT },
        down: { latencyMs: 36, jitterMs: 0.5, packetLoss: 0.0001, bandwidthLimitBitsPerSecond: 10_000 * MBIT },
      },
    ] satisfies LinkPreset[]
  ).map((preset) => Object.freeze({ ...preset, up: Object.freeze(preset.up), down: Object.freeze(preset.down) })),
)

/** A line as people give it: a preset's name, the same options both ways, or each way's own. */
export type LinkInput = LinkPresetName | LinkOptions | LinePair

/**
 * Both ways of a line.
 *
 * @throws P2PError `invalid-configuration` for an unknown name; options are checked where the link is made
 */
export function resolveLine(link: LinkInput): LinePair {
  if (typeof link === 'string') {
    const preset = linkPresets.find((preset) => preset.name === link)
    if (preset) return preset
    const names = linkPresets.map((preset) => preset.name).join(', ')
    throw invalidConfiguration('link', link, `there is no such link preset; known are ${names}`)
  }
  if (typeof link !== 'object' || link === null) {
    throw invalidConfiguration('link', link, 'must be the name of a preset, or link options')
  }
  if (!('up' in link) && !('down' in link)) return { up: link, down: link }
  if (!('up' in link && 'down' in link)) {
    throw invalidConfiguration('link', Object.keys(link).join(), 'must have both up and down, or neither')
  }
  // A preset has a name and a source besides.
  checkOptions('link with up and down', link, PAIR_FIELDS)
  const { up, down } = link
  if (typeof up === 'object' && up !== null && typeof down === 'object' && down !== null) return link
  throw invalidConfiguration('link', JSON.stringify(link), 'up and down must be objects of link options')
}
