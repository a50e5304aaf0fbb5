/**
 * A topology as a flowchart of Mermaid, for Markdown that renders it.
 *
 * @module
 */
import type { DiagramNode, DiagramTree } from './tree.ts'

const SHAPES: Readonly<Record<DiagramNode['kind'], readonly [string, string]>> = {
  core: ['(["', '"])'],
  lan: ['["', '"]'],
  host: ['("', '")'],
  relay: ['{{"', '"}}'],
  more: ['("', '")'],
}

/** The text of the flowchart. */
export function mermaid({ root, links, notes }: DiagramTree): string {
  const ids = new Map<string, string>()
  const lines = ['flowchart LR']
  const cut: string[] = []
  const visit = (node: DiagramNode, above: string | undefined): void => {
    const id = `n${ids.size}`
    ids.set(node.kind === 'more' ? `${above} ${node.name}` : node.name, id)
    const [open, close] = SHAPES[node.kind]
    const details = node.details.slice(0, above === undefined ? undefined : -1)
    lines.push(`  ${id}${open}${[node.name, ...details].map((line) => escape(line)).join('<br/>')}${close}`)
    if (above !== undefined) {
      const label = node.details.at(-1)
      lines.push(`  ${above} ${node.isCut ? '-.-x' : '---'}${label === undefined ? '' : `|"${escape(label)}"|`} ${id}`)
    }
    if (node.isCut) cut.push(id)
    for (const child of node.children) visit(child, id)
  }
  visit(root, undefined)
  for (const { from, to, label, isCut } of links) {
    lines.push(`  ${ids.get(from)} ${isCut ? '-.-x' : '-.-'}|"${escape(label)}"| ${ids.get(to)}`)
  }
  for (const [i, note] of notes.entries()) lines.push(`  p${i}>"${escape(note)}"]`)
  if (cut.length > 0) lines.push(`  classDef cut stroke:#d33,stroke-dasharray:4`, `  class ${cut.join(',')} cut`)
  return `${lines.join('\n')}\n`
}

/** Mermaid reads entities in quoted text, written with `#` for `&`. */
function escape(text: string): string {
  return text.replaceAll(/[#"<>&|`]/g, (char) => `#${char.codePointAt(0)};`)
}
