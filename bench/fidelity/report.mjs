// The comparison as rows of a table, for the terminal and for the documentation.

function time(ms) {
  if (ms >= 1000) return ms.toFixed(0)
  return ms >= 100 ? ms.toFixed(1) : ms.toFixed(2)
}

function percent(error) {
  if (!Number.isFinite(error)) return '-'
  return `${error < 0 ? '-' : '+'}${(100 * Math.abs(error)).toFixed(1)} %`
}

function cells({ label, measured, simulated, error, ks, bar, pass }) {
  const verdict = pass === undefined ? '' : pass ? 'ok' : 'MISSED'
  const distance = ks === undefined ? '' : ks.toFixed(2)
  return [label, time(measured), time(simulated), percent(error), distance, bar ?? '', verdict]
}

/** A line a figure; the link is named once. */
export function tableRows(judgements) {
  return judgements.flatMap(({ name, figures }) => figures.map((figure, i) => [i === 0 ? name : '', ...cells(figure)]))
}

/** The same as a table of Markdown, a line a link, with what was missed in bold. */
export function markdown(judgements, summary, seeds) {
  const keys = [...new Set(judgements.flatMap(({ figures }) => figures.map(({ key }) => key)))]
  const label = (key) => judgements.flatMap(({ figures }) => figures).find((figure) => figure.key === key).label
  const lines = [`| link | n | ${keys.map(label).join(' | ')} |`, `|---|---|${keys.map(() => '---|').join('')}`]
  for (const { name, count, figures } of judgements) {
    const found = keys
      .map((key) => figures.find((figure) => figure.key === key))
      .map((figure) => figure && cell(figure))
    lines.push(`| ${name} | ${count} | ${found.map((text) => text ?? '').join(' | ')} |`)
  }
  const { figures, missed, medianError } = summary
  lines.push(
    '',
    `${figures - missed} of ${figures} figures are within their bars; the median error is ` +
      `${(100 * medianError).toFixed(1)} %; ${seeds} seeds a row.`,
  )
  return lines.join('\n')
}

function cell(figure) {
  const { measured, simulated, error, ks, pass } = figure
  const how = ks === undefined ? percent(error) : `KS ${ks.toFixed(2)}`
  const text = `${time(measured)} / ${time(simulated)}, ${how}`
  return pass === false ? `**${text}**` : text
}
