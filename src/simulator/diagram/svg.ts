/**
 * A topology as SVG: a tree from left to right, which needs no font metrics and no guessing, and so is the same
 * everywhere. It follows the reader's light or dark theme.
 *
 * @module
 */
import type { DiagramLink, DiagramNode, DiagramTree } from './tree.ts'

const LINE_HEIGHT = 15
const PADDING = 8
const GAP = 10
const COLUMN_GAP = 56
const MARGIN = 16
/** Of a monospace font of 12 px. */
const CHARACTER_WIDTH = 7.3
const MAX_CHARACTERS = 46
/** Links beside the tree that are written out below it. */
const MAX_LINK_NOTES = 12

/** Written out twice, as not every viewer knows variables. */
const STYLE = `
  text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
  text.name { font-weight: 600; }
  path { fill: none; stroke-width: 1.5; }
  path.other { stroke-dasharray: 5 4; }
  rect.more { fill: none; stroke-dasharray: 3 3; }
  rect.cut, path.cut { stroke-dasharray: 4 3; }
  .page { fill: #ffffff; stroke: none; } text { fill: #52616f; } text.name { fill: #17212b; }
  rect, path { stroke: #8fa1b3; } rect.cut, path.cut { stroke: #c62828; } text.bad { fill: #b71c1c; }
  rect.core { fill: #e8eef5; } rect.lan { fill: #fdf3dc; } rect.host { fill: #e4f4e8; } rect.relay { fill: #efe6fa; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #11171e; stroke: none; } text { fill: #a9b9c8; } text.name { fill: #e6edf3; }
    rect, path { stroke: #5f7284; } rect.cut, path.cut { stroke: #ff7b72; } text.bad { fill: #ff9a92; }
    rect.core { fill: #1e2a37; } rect.lan { fill: #3a3018; } rect.host { fill: #17321f; } rect.relay { fill: #2e2343; }
  }`

interface Placed {
  readonly node: DiagramNode
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** The text of the image. */
export function svg(tree: DiagramTree): string {
  const widths = columnWidths(tree.root)
  const lefts = widths.map((_, i) => MARGIN + widths.slice(0, i).reduce((sum, width) => sum + width + COLUMN_GAP, 0))
  const placed = new Map<DiagramNode, Placed>()
  const bottom = place(tree.root, 0, MARGIN, { widths, lefts, placed })
  const width = Math.ceil((lefts.at(-1) ?? 0) + (widths.at(-1) ?? 0) + MARGIN)
  const noteWidth = Math.max(0, ...tree.notes.map((note) => note.length * CHARACTER_WIDTH + 2 * MARGIN))
  const linkNotes = tree.links.map(({ from, to, label }) => `${from} - ${to}: ${label}`)
  const more = linkNotes.length > MAX_LINK_NOTES ? [`and ${linkNotes.length - MAX_LINK_NOTES} more links`] : []
  const notes = [...linkNotes.slice(0, MAX_LINK_NOTES), ...more, ...tree.notes].map((note) => clip(note, 120))
  const height = Math.ceil(bottom + MARGIN + notes.length * LINE_HEIGHT)
  const total = Math.max(width, Math.min(noteWidth, 900), notes.length > 0 ? 480 : 0)
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${total} ${height}" width="${total}" height="${height}" role="img">`,
    `<title>The topology of a simulation</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${total}" height="${height}"/>`,
    ...edges(tree.root, placed),
    ...otherEdges(tree.links, placed),
    ...[...placed.values()].flatMap((it) => draw(it)),
    ...notes.map((note, i) => {
      const isBad = i >= notes.length - tree.notes.length
      const y = bottom + LINE_HEIGHT * (i + 0.6)
      return `<text x="${MARGIN}" y="${round(y)}"${isBad ? ' class="bad"' : ''}>${escape(note)}</text>`
    }),
    '</svg>',
    '',
  ].join('\n')
}

interface Layout {
  readonly widths: readonly number[]
  readonly lefts: readonly number[]
  readonly placed: Map<DiagramNode, Placed>
}

/** Puts a node in the middle of its children; returns where the next may begin. */
function place(node: DiagramNode, depth: number, top: number, layout: Layout): number {
  const height = boxHeight(node)
  let bottom = top
  for (const child of node.children) bottom = place(child, depth + 1, bottom, layout)
  const own = top + height + GAP
  // A node that is taller than all of its children together pushes what follows down.
  const end = Math.max(bottom, own)
  const first = node.children[0] && layout.placed.get(node.children[0])
  const lastChild = node.children.at(-1)
  const last = lastChild && layout.placed.get(lastChild)
  const middle = first && last ? (first.y + last.y + last.height) / 2 : top + height / 2
  const y = Math.max(top, Math.min(middle - height / 2, end - GAP - height))
  layout.placed.set(node, { node, x: layout.lefts[depth] ?? 0, y, width: layout.widths[depth] ?? 0, height })
  return end
}

function columnWidths(root: DiagramNode): number[] {
  const widths: number[] = []
  const visit = (node: DiagramNode, depth: number): void => {
    const longest = Math.max(...[node.name, ...node.details].map((line) => clip(line).length))
    widths[depth] = Math.max(widths[depth] ?? 0, Math.ceil(longest * CHARACTER_WIDTH) + 2 * PADDING)
    for (const child of node.children) visit(child, depth + 1)
  }
  visit(root, 0)
  return widths
}

function boxHeight({ details }: DiagramNode): number {
  return (details.length + 1) * LINE_HEIGHT + PADDING
}

function edges(node: DiagramNode, placed: ReadonlyMap<DiagramNode, Placed>): string[] {
  const from = placed.get(node)
  return node.children.flatMap((child) => {
    const to = placed.get(child)
    if (!from || !to) return []
    const [x1, y1] = [from.x + from.width, from.y + from.height / 2]
    const [x2, y2] = [to.x, to.y + to.height / 2]
    const middle = round((x1 + x2) / 2)
    const way = `M${round(x1)} ${round(y1)}C${middle} ${round(y1)} ${middle} ${round(y2)} ${round(x2)} ${round(y2)}`
    return [`<path${child.isCut ? ' class="cut"' : ''} d="${way}"/>`, ...edges(child, placed)]
  })
}

function otherEdges(links: readonly DiagramLink[], placed: ReadonlyMap<DiagramNode, Placed>): string[] {
  const byName = new Map([...placed.values()].map((it) => [it.node.name, it]))
  return links.flatMap(({ from, to, isCut }) => {
    const [a, b] = [byName.get(from), byName.get(to)]
    if (!a || !b) return []
    // To the right of both, so that boxes in one column are joined beside them.
    const [x1, y1] = [a.x + a.width, a.y + a.height / 2]
    const [x2, y2] = [b.x + b.width, b.y + b.height / 2]
    const bend = round(Math.max(x1, x2) + COLUMN_GAP * 0.7)
    const way = `M${round(x1)} ${round(y1)}C${bend} ${round(y1)} ${bend} ${round(y2)} ${round(x2)} ${round(y2)}`
    return [`<path class="other${isCut ? ' cut' : ''}" d="${way}"/>`]
  })
}

function draw({ node, x, y, width, height }: Placed): string[] {
  const shape = `x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"`
  return [
    `<rect class="${node.kind}${node.isCut ? ' cut' : ''}" rx="6" ${shape}/>`,
    ...[node.name, ...node.details].map((line, i) => {
      const at = `x="${round(x + PADDING)}" y="${round(y + LINE_HEIGHT * (i + 1))}"`
      return `<text ${at}${i === 0 ? ' class="name"' : ''}>${escape(clip(line))}</text>`
    }),
  ]
}

function clip(line: string, max: number = MAX_CHARACTERS): string {
  // By characters: half of one is none.
  return line.length > max
    ? `${Array.from(line)
        .slice(0, max - 1)
        .join('')}…`
    : line
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

function escape(text: string): string {
  // What is no character of XML is not one by its number either.
  const clean = text.replaceAll(/[\p{Surrogate}\ufffe\uffff]/gu, '\ufffd')
  return clean.replaceAll(/[&<>"]/g, (char) => `&#${char.codePointAt(0)};`)
}
