// The comparison as pictures: `main.mjs --plots DIRECTORY`. Plain SVG, with colours for light and for dark pages.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const STYLE = `<style>
text { font: 12px ui-sans-serif, system-ui, sans-serif; fill: #424a53 }
.title { font-size: 13px; font-weight: 600 }
.small { font-size: 11px }
.right { text-anchor: end }
.middle { text-anchor: middle }
.grid { stroke: #d1d9e0; stroke-width: 1; fill: none }
.axis { stroke: #818b98; stroke-width: 1; fill: none }
.band { fill: #d1d9e0; fill-opacity: 0.45 }
.measured { stroke: #0550ae; stroke-width: 2; fill: none }
.simulated { stroke: #bc4c00; stroke-width: 2; fill: none; stroke-dasharray: 5 3 }
.dot { fill: #0550ae }
.missed { fill: #cf222e }
.undecided { fill: #9a6700 }
@media (prefers-color-scheme: dark) {
text { fill: #c9d1d9 }
.grid { stroke: #3d444d }
.axis { stroke: #7d8590 }
.band { fill: #6e7681; fill-opacity: 0.25 }
.measured { stroke: #58a6ff }
.simulated { stroke: #f0883e }
.dot { fill: #58a6ff }
.missed { fill: #ff7b72 }
.undecided { fill: #d29922 }
}
</style>`

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
const round = (value) => Math.round(value * 10) / 10
const text = (x, y, content, kind = '') =>
  `<text x="${round(x)}" y="${round(y)}"${kind && ` class="${kind}"`}>${escape(content)}</text>`
const path = (points, kind) =>
  `<path class="${kind}" d="M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join('L')}"/>`
const svg = (width, height, title, parts) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escape(title)}</title>
${STYLE}
${parts.join('\n')}
</svg>
`

/** Round numbers from 0 up to `most`, about five. */
function ticks(most) {
  const rough = most / 4
  const magnitude = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((n) => n * magnitude).find((n) => n >= rough)
  const count = Math.floor(most / step)
  return Array.from({ length: count + 1 }, (_, i) => i * step)
}

const PANEL = { width: 270, height: 170, left: 50, right: 18, top: 40, bottom: 34 }

/** Distribution functions of `figure`, measured and simulated, a panel a row. */
export function distributionPlot(rows, simulated, figure, title) {
  const columns = 3
  const width = columns * PANEL.width
  const height = Math.ceil(rows.length / columns) * PANEL.height + 34
  const parts = [
    text(PANEL.left, 18, title, 'title'),
    path(
      [
        [width - 250, 14],
        [width - 222, 14],
      ],
      'measured',
    ),
    text(width - 216, 18, 'measured'),
    path(
      [
        [width - 134, 14],
        [width - 106, 14],
      ],
      'simulated',
    ),
    text(width - 100, 18, 'simulated'),
  ]
  for (const [i, row] of rows.entries()) {
    const left = (i % columns) * PANEL.width
    const top = Math.floor(i / columns) * PANEL.height + 24
    parts.push(
      `<g transform="translate(${left} ${top})">`,
      ...panel(row, row.samples[figure], simulated[i][figure]),
      '</g>',
    )
  }
  return svg(width, height, title, parts)
}

function panel(row, measured, simulated) {
  const { left, right, top, bottom } = PANEL
  const bounds = { right: PANEL.width - right, bottom: PANEL.height - bottom }
  const most = Math.max(...measured, ...simulated) / 1000
  const marks = ticks(most)
  const x = (ms) => left + ((bounds.right - left) * ms) / 1000 / most
  const y = (share) => bounds.bottom - (bounds.bottom - top) * share
  const parts = [text(left, top - 8, `${row.name}, n = ${row.count}`, 'small')]
  for (const share of [0, 0.5, 1]) {
    parts.push(
      path(
        [
          [left, y(share)],
          [bounds.right, y(share)],
        ],
        share === 0 ? 'axis' : 'grid',
      ),
    )
    parts.push(text(left - 6, y(share) + 4, `${100 * share} %`, 'small right'))
  }
  for (const [i, mark] of marks.entries()) {
    const label = i === marks.length - 1 ? `${round(mark * 100) / 100} s` : `${round(mark * 100) / 100}`
    parts.push(
      path(
        [
          [x(mark * 1000), bounds.bottom],
          [x(mark * 1000), bounds.bottom + 4],
        ],
        'axis',
      ),
    )
    parts.push(text(x(mark * 1000), bounds.bottom + 17, label, 'small middle'))
  }
  parts.push(path(steps(measured, x, y), 'measured'), path(steps(simulated, x, y), 'simulated'))
  return parts
}

/** The empirical distribution function as a staircase from 0 to its largest value. */
function steps(values, x, y) {
  const sorted = [...values].sort((a, b) => a - b)
  const points = [[x(0), y(0)]]
  for (const [i, value] of sorted.entries())
    points.push([x(value), y(i / sorted.length)], [x(value), y((i + 1) / sorted.length)])
  return points
}

const CELL = { width: 88, height: 24, half: 26, most: 1.5 }
const GRID = { left: 172, top: 66 }

/**
 * How far every judged figure is from what was measured, as a share of its bar: a grid of links and figures. Where whole
 * distributions are compared it is their distance, which has no sign.
 */
export function errorPlot(judgements) {
  const rows = judgements.filter(({ count, figures }) => count !== undefined && figures.some(isJudged))
  const columns = new Map(rows.flatMap(({ figures }) => figures.filter(isJudged).map(({ key, label }) => [key, label])))
  const width = GRID.left + columns.size * CELL.width + 12
  const height = GRID.top + rows.length * CELL.height + 34
  const bottom = GRID.top + rows.length * CELL.height
  const title = 'How far the simulation is from what was measured, as a share of each bar'
  const parts = [text(12, 18, title, 'title')]
  for (const [i, label] of [...columns.values()].entries()) {
    const x = GRID.left + (i + 0.5) * CELL.width
    const band = `x="${x - CELL.half}" y="${GRID.top}" width="${2 * CELL.half}" height="${bottom - GRID.top}"`
    parts.push(text(x, GRID.top - 12, label, 'small middle'), `<rect class="band" ${band}/>`)
    parts.push(
      path(
        [
          [x, GRID.top],
          [x, bottom],
        ],
        'axis',
      ),
    )
  }
  for (const [i, { name, figures }] of rows.entries()) {
    const y = GRID.top + i * CELL.height
    parts.push(text(GRID.left - 10, y + CELL.height / 2 + 4, name, 'small right'))
    for (const figure of figures.filter(isJudged)) {
      const x = GRID.left + ([...columns.keys()].indexOf(figure.key) + 0.5) * CELL.width
      const share = Math.max(-CELL.most, Math.min(CELL.most, shareOfBar(figure)))
      const length = Math.max(1, Math.abs(share) * CELL.half)
      const box = `x="${round(share < 0 ? x - length : x)}" y="${y + 7}" width="${round(length)}" height="${CELL.height - 14}"`
      parts.push(`<rect class="${kindOf(figure)}" ${box}/>`)
    }
  }
  const legend =
    'Shaded: within the bar. Red: missed; ochre: the measurement cannot tell. Left: the simulation is too fast; right: too slow.'
  parts.push(text(12, bottom + 24, legend, 'small'))
  return svg(width, height, title, parts)
}

const isJudged = ({ key, pass }) => key !== undefined && pass !== undefined

function kindOf({ pass, isUndecided }) {
  if (pass) return 'dot'
  return isUndecided ? 'undecided' : 'missed'
}

function shareOfBar({ ks, error, limit }) {
  return ks === undefined ? error / limit : ks / limit
}

/** Writes the pictures of the documentation; the names of the files. */
export function writePlots(directory, rows, simulated, judgements) {
  mkdirSync(directory, { recursive: true })
  const erratic = rows.flatMap((row, i) => (row.isErratic ? [i] : []))
  const pick = (list) => erratic.map((i) => list[i])
  const files = [['fidelity-errors.svg', errorPlot(judgements)]]
  for (const [figure, title] of [
    ['cold', '1 MiB on a new connection'],
    ['warm', '1 MiB more on the same connection'],
  ]) {
    if (erratic.length === 0) continue
    files.push([`fidelity-${figure}.svg`, distributionPlot(pick(rows), pick(simulated), figure, title)])
  }
  for (const [name, content] of files) writeFileSync(join(directory, name), content)
  return files.map(([name]) => name)
}
