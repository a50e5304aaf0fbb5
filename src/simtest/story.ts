/**
 * A failure in words: the seed, the smallest run that still fails, what happened in it, and how to see it again.
 *
 * @module
 */
import { describeFault, seconds } from '../simulator/faults/fault.ts'
import type { Outcome } from './run.ts'
import type { ShrinkResult } from './shrink.ts'

/** What a failure's report is made of. */
export interface Report {
  readonly name: string
  /** As the seed gave it. */
  readonly first: Outcome
  readonly shrunk: ShrinkResult | undefined
  /** The smallest run, told in detail. */
  readonly told: Outcome
  /** Whether the first run, repeated, had the same history. */
  readonly isRepeatable: boolean
  /** Something real that a host's code uses, with its line. */
  readonly leak?: string | undefined
  /** The commands to see it again, by title. */
  readonly commands: Readonly<Record<string, string>>
  /** Files that were written, by title. */
  readonly files: Readonly<Record<string, string>>
}

const MAX_LINES = 24

/** A virtual time in a column. */
function at(ms: number): string {
  return `${(ms / 1000).toFixed(3)} s`.padStart(12)
}

function indent(text: string, by: string): string {
  return text.replaceAll('\n', `\n${by}`)
}

/** What happened, a line each; of a long story the beginning and the end. */
export function storyLines({ story }: Outcome): string[] {
  const lines = story.map(({ atMs, text }) => `${at(atMs)}  ${indent(text, ' '.repeat(14))}`)
  if (lines.length <= MAX_LINES) return lines
  // The end is what matters; the beginning says who is who.
  const head = lines.slice(0, 6)
  const tail = lines.slice(-(MAX_LINES - 7))
  return [...head, `${' '.repeat(12)}  … ${lines.length - head.length - tail.length} more`, ...tail]
}

function smallest({ shrunk, told, first }: Report): string[] {
  const { plan, choices } = told
  const how = shrunk
    ? `: from ${first.plan.faults.length} faults to ${plan.faults.length}, in ${shrunk.runs} runs and ${seconds(shrunk.tookMs)}` +
      (shrunk.isMinimal ? '' : '; the time was over before nothing more could be taken away')
    : ', not made smaller'
  const lines = [`The smallest run that still fails${how}`]
  const faults = [...plan.faults].sort((a, b) => a.atMs - b.atMs)
  for (const fault of faults) lines.push(`${at(fault.atMs)}  ${describeFault(fault)}`)
  if (faults.length === 0) lines.push('  no faults at all')
  for (const { name, index, of, text } of choices) lines.push(`  ${name} = ${text}  (${index + 1} of ${of})`)
  if (plan.without.length > 0) lines.push(`  without ${plan.without.join(', ')}`)
  if (plan.packetLoss === 0) lines.push('  without loss on the default link')
  if (told.buggified.length > 0) lines.push(`  with buggify at ${told.buggified.join(', ')}`)
  return lines
}

/** The report, ready to be printed. */
export function tellFailure(report: Report): string {
  const { name, first, told, isRepeatable, commands, files, leak } = report
  const { failure } = told
  const where = failure?.host === undefined ? '' : `host ${failure.host}: `
  const lines = [
    `${JSON.stringify(name)} fails with seed ${first.seed}`,
    '',
    `  ${where}${indent(failure?.message ?? '', '  ')}`,
    ...(failure?.place === undefined ? [] : [`  at ${failure.place}`]),
    `  at ${seconds(failure?.virtualMs ?? 0)} of virtual time`,
    '',
    ...smallest(report),
  ]
  if (told.story.length > 0) lines.push('', 'What happened', ...storyLines(told))
  if (leak !== undefined) lines.push('', 'Not of the simulation', `  ${indent(leak, '  ')}`)
  lines.push('', 'See it again')
  for (const [title, command] of Object.entries(commands)) lines.push(`  ${title}: ${command}`)
  for (const [title, path] of Object.entries(files)) lines.push(`  ${title}: ${path}`)
  if (!isRepeatable) {
    lines.push(
      '',
      'The same seed did not give the same history twice: something in it does not come from the simulation, such as the',
      "machine's clock or randomness, a real timer, or state that outlives a run. Until it is found trust no replay.",
    )
  }
  return lines.join('\n')
}
