// The packets of one simulated repetition, as the measured traces are written, a packet a line: microseconds, direction
// (> up), IP bytes, fate (. arrived, L lost, T dropped by the queue), microseconds on the link.
// `node bench/fidelity/trace.mjs LINK [SEED]`
import { Drop, NetworkKind } from '@moosicbox/p2p/simulator'
import { exchange } from './direct.mjs'
import { HEADERS_BYTES, parseLink } from './links.mjs'
import { DEFAULT_REFERENCE, HELD_OUT_REFERENCE, loadReference } from './reference.mjs'

const FATES = { [Drop.loss]: 'L', [Drop['queue-full']]: 'T' }

/** The lines of the repetition with this seed over the link of `row`. */
export async function trace(row, seed) {
  const packets = new Map()
  const observer = (timeUs, kind, host, a, b, c, d) => {
    if (kind === NetworkKind.send) packets.set(d, { timeUs, host, bytes: c, fate: '.', tookUs: 0 })
    else if (kind === NetworkKind.deliver) packets.get(d).tookUs = timeUs - packets.get(d).timeUs
    else if (kind === NetworkKind.drop) packets.get(d).fate = FATES[c] ?? '?'
  }
  const times = await exchange(row, seed, { observer })
  const lines = [...packets.values()].map(({ timeUs, host, bytes, fate, tookUs }) => {
    const direction = host === 0 ? '<' : '>'
    return `${timeUs} ${direction} ${bytes + HEADERS_BYTES} ${fate} ${tookUs}`
  })
  return { times, lines }
}

if (process.argv[1] === import.meta.filename) {
  const [name, seed = '1'] = process.argv.slice(2)
  const rows = [DEFAULT_REFERENCE, HELD_OUT_REFERENCE].flatMap((file) => loadReference(file))
  const known = rows.find((row) => row.name === name)
  if (!known && !name?.includes('=')) {
    console.error(
      'node bench/fidelity/trace.mjs LINK [SEED], where LINK is a row or a description such as delay=25,loss=1',
    )
    process.exit(2)
  }
  const row = known ?? { name, up: parseLink(name), down: parseLink(name) }
  const { times, lines } = await trace(row, Number(seed))
  console.error(JSON.stringify(times))
  console.log(lines.join('\n'))
}
