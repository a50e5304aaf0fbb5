// A table for people.

const width = (text) => [...text].length

/** Prints `rows` under `columns`; the first column is aligned left, the others right. */
export function printTable(title, columns, rows) {
  const lines = [columns, ...rows].map((row) => row.map(String))
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => width(line[i] ?? ''))))
  const pad = (text, i) => (i === 0 ? text.padEnd(widths[i]) : ' '.repeat(widths[i] - width(text)) + text)
  const format = (line) =>
    line
      .map((text, i) => pad(text, i))
      .join('  ')
      .trimEnd()
  console.log(`\n${title}\n`)
  console.log(format(lines[0]))
  console.log(widths.map((size) => '-'.repeat(size)).join('  '))
  for (const line of lines.slice(1)) console.log(format(line))
}

/** Three significant digits, thousands as k and M. */
export function short(value) {
  if (!Number.isFinite(value)) return '-'
  const magnitude = Math.abs(value)
  if (magnitude >= 1e6) return `${(value / 1e6).toPrecision(3)} M`
  if (magnitude >= 1e4) return `${(value / 1e3).toPrecision(3)} k`
  if (magnitude >= 100) return value.toFixed(0)
  return value.toPrecision(3)
}
