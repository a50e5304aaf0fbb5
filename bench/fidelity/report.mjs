// The comparison as rows of a table, for the terminal and for the documentation.
import { summarise } from './judge.mjs'

function number(value) {
  if (value === undefined) return ''
  if (value >= 1000) return value.toFixed(0)
  return value >= 100 ? value.toFixed(1) : value.toFixed(2)
}

function percent(error) {
  if (error === undefined || !Number.isFinite(error)) return ''
  return `${error < 0 ? '-' : '+'}${(100 * Math.abs(error)).toFixed(1)} %`
}

function cells({ label, measured, simulated, error, ks, bar, pass, isUndecided, interval }) {
  const missed = isUndecided ? `undecided: ${interval.map(number).join('..')}` : 'MISSED'
  const verdict = pass === undefined ? '' : pass ? 'ok' : missed
  const distance = ks === undefined ? '' : ks.toFixed(2)
  return [label, number(measured), number(simulated), percent(error), distance, bar ?? '', verdict]
}

/** A line a figure; the row is named once. */
export function tableRows(judgements) {
  return judgements.flatMap(({ name, figures }) => figures.map((figure, i) => [i === 0 ? name : '', ...cells(figure)]))
}

/** How many seeds of which rows have no times, because their connection died. */
export function casualties(judgements) {
  const died = judgements.filter(({ lost }) => lost > 0).map(({ name, lost }) => `${name} ${lost}`)
  return `connections that died: ${died.join(', ') || 'none'}`
}

/** The end of it in a sentence. */
export function conclusion({ figures, missed, undecided, medianError }) {
  const error = Number.isFinite(medianError) ? `; median error ${(100 * medianError).toFixed(1)} %` : ''
  const open = undecided > 0 ? `, ${undecided} more that the samples cannot decide` : ''
  return `${figures - missed} of ${figures} figures within their bars${open}${error}`
}

const TITLES = {
  known: 'the links that the model was made with',
  heldOut: 'links that the model had not seen',
  paths: 'NATs, relays and outages',
}

const groupOf = ({ count, isHeldOut }) => (count === undefined ? 'paths' : isHeldOut ? 'heldOut' : 'known')

/** What belongs in one table, with a title. */
export function groupsOf(judgements) {
  return Object.entries(TITLES).flatMap(([group, title]) => {
    const members = judgements.filter((judgement) => groupOf(judgement) === group)
    return members.length > 0 ? [{ group, title, members }] : []
  })
}

/**
 * The same as tables of Markdown, a link a line; what was missed is bold, or slanted where the measurement cannot tell.
 */
export function markdown(judgements, counts) {
  const tables = groupsOf(judgements).map(({ group, title, members }) => {
    const lines = group === 'paths' ? pathLines(members) : linkLines(members)
    return [`### ${title[0].toUpperCase()}${title.slice(1)}`, '', ...lines, '', summaryOf(members, counts)].join('\n')
  })
  return tables.join('\n\n')
}

function summaryOf(judgements, counts) {
  return `${conclusion(summarise(judgements))}; ${counts}; ${casualties(judgements)}.`
}

function linkLines(links) {
  const keys = [...new Set(links.flatMap(({ figures }) => figures.map(({ key }) => key)))]
  const label = (key) => links.flatMap(({ figures }) => figures).find((figure) => figure.key === key).label
  const lines = [`| link | n | ${keys.map(label).join(' | ')} |`, `|---|---|${keys.map(() => '---|').join('')}`]
  for (const { name, count, figures } of links) {
    const found = keys.map((key) => figures.find((figure) => figure.key === key))
    lines.push(`| ${name} | ${count} | ${found.map((figure) => (figure ? short(figure) : '')).join(' | ')} |`)
  }
  return lines
}

function pathLines(judgements) {
  const lines = ['| | figure | measured | simulated | error | bar |', '|---|---|---|---|---|---|']
  for (const { name, figures } of judgements) {
    for (const [i, figure] of figures.entries()) {
      const [what, measured, simulated, error, , bar] = cells(figure)
      const emphasis = figure.pass === false ? '**' : ''
      lines.push(
        `| ${[i === 0 ? name : '', what, measured, emphasis + simulated + emphasis, error, bar].join(' | ')} |`,
      )
    }
  }
  return lines
}

function short({ measured, simulated, error, ks, pass, isUndecided }) {
  const text = `${number(measured)} / ${number(simulated)}, ${ks === undefined ? percent(error) : `KS ${ks.toFixed(2)}`}`
  if (pass !== false) return text
  return isUndecided ? `*${text}*` : `**${text}**`
}
