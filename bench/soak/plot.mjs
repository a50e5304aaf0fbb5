// The curves of a soak as SVG, with colours for light and for dark pages.
const STYLE = `<style>
text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #424a53 }
.title { font-size: 13px; font-weight: 600 }
.small { font-size: 11px }
.right { text-anchor: end }
.grid { stroke: #d1d9e0; stroke-width: 1; fill: none }
.axis { stroke: #818b98; stroke-width: 1; fill: none }
.fault { stroke: #cf222e; stroke-opacity: 0.35; stroke-width: 1 }
.a { stroke: #0550ae; stroke-width: 1.5; fill: none }
.b { stroke: #bc4c00; stroke-width: 1.5; fill: none }
.ta { fill: #0550ae } .tb { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
text { fill: #c9d1d9 }
.grid { stroke: #3d444d } .axis { stroke: #7d8590 } .fault { stroke: #ff7b72 }
.a { stroke: #58a6ff } .b { stroke: #f0883e } .ta { fill: #58a6ff } .tb { fill: #f0883e }
}
</style>`

const WIDTH = 860
const PANEL = { left: 60, right: 20, top: 34, height: 130, gap: 58 }
const MIB = 1_048_576
const round = (value) => Math.round(value * 10) / 10

const PANELS = [
  {
    title: 'memory of the server, MiB',
    curves: [
      ['a', 'of the process', ({ about }) => about.rss / MIB],
      ['b', 'heap, after collection', ({ about }) => about.heapUsed / MIB],
    ],
  },
  {
    title: 'handles and descriptors of the server',
    curves: [
      ['a', 'handles (connections, streams)', ({ handles }) => handles],
      ['b', 'descriptors', ({ descriptors }) => descriptors],
    ],
  },
  {
    title: 'done so far, in thousands',
    curves: [
      ['a', 'done', ({ done }) => done / 1000],
      ['b', 'hit by a fault', ({ failed }) => failed / 1000],
    ],
  },
]

/** A round number that is not less. */
function ceiling(most) {
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(most, 1)))
  return ([1, 2, 3, 5, 8, 10].find((n) => n * magnitude >= most) ?? 10) * magnitude
}

/** Of the points above each other only the highest and the lowest: an hour has more samples than a picture has columns. */
function line(points) {
  const columns = new Map()
  for (const [x, y] of points) {
    const column = columns.get(x)
    columns.set(x, column ? [Math.min(column[0], y), Math.max(column[1], y)] : [y, y])
  }
  return [...columns].flatMap(([x, [top, bottom]]) =>
    top === bottom ? [`${x} ${top}`] : [`${x} ${bottom}`, `${x} ${top}`],
  )
}

function panel({ title, curves }, i, { samples, faults, minutes }) {
  const top = PANEL.top + i * (PANEL.height + PANEL.gap)
  const most = ceiling(Math.max(...samples.flatMap((sample) => curves.map(([, , of]) => of(sample)))))
  const last = Math.max(minutes, samples.at(-1)?.minute ?? 0)
  const x = (minute) => round(PANEL.left + (minute / last) * (WIDTH - PANEL.left - PANEL.right))
  const y = (value) => round(top + PANEL.height * (1 - value / most))
  const parts = [`<text class="title" x="${PANEL.left}" y="${top - 12}">${title}</text>`]
  for (const share of [0, 0.5, 1]) {
    const at = y(most * share)
    parts.push(
      `<path class="grid" d="M${PANEL.left} ${at}H${WIDTH - PANEL.right}"/>`,
      `<text class="small right" x="${PANEL.left - 6}" y="${at + 4}">${round(most * share)}</text>`,
    )
  }
  for (const { minute } of faults) {
    parts.push(`<path class="fault" d="M${x(minute)} ${top + PANEL.height}v-5"/>`)
  }
  curves.forEach(([kind, name, of], n) => {
    const points = samples.map((sample) => [Math.round(x(sample.minute)), y(of(sample))])
    parts.push(
      `<path class="${kind}" d="M${line(points).join('L')}"/>`,
      `<text class="small t${kind}" x="${PANEL.left + 330 + n * 220}" y="${top - 12}">${name}</text>`,
    )
  })
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(
      `<text class="small${share === 1 ? ' right' : ''}" x="${x(last * share)}" y="${top + PANEL.height + 16}">${round(last * share)} min</text>`,
    )
  }
  return parts.join('\n')
}

/** The picture. */
export function plot(result) {
  const height = PANEL.top + PANELS.length * (PANEL.height + PANEL.gap)
  const title = `A soak of ${result.minutes} minutes: ${result.backend}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${title}</title>
${STYLE}
${PANELS.map((each, i) => panel(each, i, result)).join('\n')}
</svg>
`
}
