/**
 * What was seen next to what the simulator predicts.
 *
 * @module
 */
import type { StoryReport } from './life.ts'
import { FIGURES } from './links.ts'
import type { LinkReport } from './links.ts'
import { median } from './median.ts'
import type { LossyReport } from './lossy.ts'
import type { PairReport } from './pairs.ts'
import type { Outcome, Suite } from './suites.ts'

/** A suite, seen and predicted: once in reality, once a seed in the simulator. */
export interface SuiteResult {
  readonly suite: Pick<Suite, 'name' | 'title'>
  readonly real: Outcome
  readonly simulated: readonly Outcome[]
}

/** A table: its heading, columns and rows. */
export interface Table {
  readonly title: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** What is wrong with a result: outcomes that differ, bytes that are missing, errors that are not the right ones. */
export function faultsOf({ suite, real, simulated }: SuiteResult): string[] {
  const all = [...ownFaults('', real), ...simulated.flatMap((one) => ownFaults('in the simulator, ', one))]
  if (real.kind === 'pairs') all.push(...simulated.flatMap((one) => differences(real.pairs, one)))
  return all.map((fault) => `${suite.name}: ${fault}`)
}

function ownFaults(where: string, outcome: Outcome): string[] {
  switch (outcome.kind) {
    case 'pairs':
      return outcome.pairs.flatMap(({ client, server, faults }) =>
        faults.map((fault) => `${where}${client} x ${server}: ${fault}`),
      )
    case 'loads':
      return []
    case 'stories':
      return outcome.stories.flatMap(({ name, pair, faults }) =>
        faults.map((fault) => `${where}${name}, ${pair}: ${fault}`),
      )
    case 'links':
      return outcome.links.flatMap(({ name, failed, repetitions, why }) =>
        failed > 0 ? [`${name}: ${failed} of ${repetitions} have not come to their end: ${why}`] : [],
      )
    case 'network':
      return outcome.findings
        .filter(({ isRight }) => !isRight)
        .map(({ what, seen, expected }) => `${what}: ${seen}, and not ${expected}`)
  }
}

function differences(seen: readonly PairReport[], predicted: Outcome): string[] {
  const expected = predicted.kind === 'pairs' ? predicted.pairs : []
  return seen.flatMap(({ client, server, outcome }, i) =>
    expected[i]?.outcome === outcome
      ? []
      : [`${client} x ${server} is ${outcome}, and ${expected[i]?.outcome} in the simulator`],
  )
}

/** The result for people. */
export function tableOf(result: SuiteResult): Table {
  const { suite, real } = result
  if (real.kind === 'pairs') return pairTable(result)
  if (real.kind === 'stories') return storyTable(result)
  if (real.kind === 'loads') return loadTable(result)
  if (real.kind === 'links') return linkTable(suite.title, real.links)
  const rows = real.findings.map(({ what, seen, expected }) => [what, seen, expected])
  return { title: suite.title, columns: ['what', 'seen', 'expected'], rows }
}

function pairTable({ suite, real, simulated }: SuiteResult): Table {
  const seen = real.kind === 'pairs' ? real.pairs : []
  const rows = seen.map((pair, i) => {
    const predicted = simulated.flatMap((one) => (one.kind === 'pairs' ? (one.pairs[i] ?? []) : []))
    return [
      `${pair.client} x ${pair.server}`,
      pair.outcome,
      unique(predicted.map(({ outcome }) => outcome)),
      spread([pair.connectMs]),
      spread(times(predicted, 'connectMs')),
      spread(times([pair], 'directAfterMs')),
      spread(times(predicted, 'directAfterMs')),
    ]
  })
  const columns = ['client x server', 'seen', 'predicted', 'connect ms', 'predicted', 'direct after ms', 'predicted']
  return { title: suite.title, columns, rows }
}

function storyTable({ suite, real, simulated }: SuiteResult): Table {
  const all = (outcome: Outcome): readonly StoryReport[] => (outcome.kind === 'stories' ? outcome.stories : [])
  const key = ({ name, pair }: StoryReport): string => `${name}, ${pair}`
  const keys = [...new Set(all(real).map(key))]
  const rows = keys.map((text) => {
    const seen = all(real).filter((story) => key(story) === text)
    const predicted = simulated.flatMap(all).filter((story) => key(story) === text)
    const ends = (stories: readonly StoryReport[]): string => {
      const survived = stories.filter((story) => story.survived).length
      return stories.length === 1 ? (survived === 1 ? 'lives' : 'ends') : `${survived} of ${stories.length} live`
    }
    const stall = (stories: readonly StoryReport[]): string => spread(stories.map(({ stallMs }) => stallMs))
    const away = spread(seen.flatMap(({ awayMs }) => awayMs ?? []))
    const paths = unique(seen.map((story) => story.paths.join(' > ')))
    return [
      text,
      ends(seen),
      ends(predicted),
      stall(seen),
      stall(predicted),
      away,
      paths,
      eventsOf(seen),
      eventsOf(predicted),
      packetsOf(seen),
      packetsOf(predicted),
    ]
  })
  const ends = ['seen', 'predicted', 'stall ms', 'predicted', 'away ms']
  const paths = ['paths', 'told of them at ms', 'predicted', 'packets lost, %', 'predicted']
  return { title: suite.title, columns: ['what, client x server', ...ends, ...paths], rows }
}

/** The share that was found to be lost. */
function packetsOf(stories: readonly StoryReport[]): string {
  const shares = stories.flatMap(({ packets }) => (packets ? (100 * packets.lost) / packets.sent : []))
  return shares.length === 0
    ? '-'
    : `${median(shares).toFixed(1)} of ${spread(stories.flatMap(({ packets }) => packets?.sent ?? []))}`
}

/** Each event with its times, where all were told of the same. */
function eventsOf(stories: readonly StoryReport[]): string {
  const kindsOf = ({ events }: StoryReport): string => events.map(({ kind }) => kind).join()
  const all = [...new Set(stories.map(kindsOf))].map((kinds) => {
    const same = stories.filter((story) => kindsOf(story) === kinds).map(({ events }) => events)
    const times = (i: number): string => spread(same.flatMap((events) => events[i]?.atMs ?? []))
    return same[0]?.map(({ kind }, i) => `${kind} ${times(i)}`).join(', ') ?? ''
  })
  return all.map((text) => text || '-').join(' or ') || '-'
}

/** Percentiles of requests and transfers; those that all seeds together predict. */
function loadTable({ suite, real, simulated }: SuiteResult): Table {
  const all = (outcome: Outcome): readonly LossyReport[] => (outcome.kind === 'loads' ? outcome.loads : [])
  const rows = all(real).flatMap((seen) => {
    const predicted = simulated.flatMap(all).filter(({ pair }) => pair === seen.pair)
    const figures = (what: string, values: (one: LossyReport) => readonly number[], parts: readonly number[]) =>
      parts.map((part) => [
        `${seen.pair}, ${seen.outcome}: ${what} p${part * 100}`,
        percentile(values(seen), part),
        percentile(predicted.flatMap(values), part),
      ])
    const requests = figures('request', ({ requestMs }) => requestMs, [0.5, 0.9, 0.95, 0.99, 0.999])
    return requests.concat(figures('1 MiB', ({ transferMs }) => transferMs, [0.25, 0.5, 0.75]))
  })
  return { title: suite.title, columns: ['client x server', 'seen ms', 'predicted ms'], rows }
}

function linkTable(title: string, links: readonly LinkReport[]): Table {
  const percent = (shares: readonly number[]): string => shares.map((share) => (100 * share).toFixed(2)).join(' / ')
  const rows = links.map(({ name, medians, lost, dropped, repetitions, late }) => [
    name,
    `${repetitions}`,
    `${late}`,
    ...FIGURES.map((figure) => medians[figure].toFixed(2)),
    percent(lost),
    percent(dropped),
  ])
  return { title, columns: ['link', 'n', 'too late', ...FIGURES, 'lost up / down, %', 'dropped up / down, %'], rows }
}

function percentile(values: readonly number[], part: number): string {
  const sorted = values.toSorted((a, b) => a - b)
  return `${Math.round(sorted[Math.ceil(part * sorted.length) - 1] ?? Number.NaN)}`
}

const unique = (texts: readonly string[]): string => [...new Set(texts)].join(' or ') || '-'

function times(pairs: readonly PairReport[], field: 'connectMs' | 'directAfterMs'): number[] {
  return pairs.flatMap((pair) => pair[field] ?? [])
}

/** The median, and where there are several the least and the most. */
function spread(values: readonly number[]): string {
  if (values.length === 0) return '-'
  const [first, middle, last] = [Math.min(...values), median(values), Math.max(...values)]
  const round = (value: number): string => String(Math.round(value))
  return round(first) === round(last) ? round(middle) : `${round(middle)} (${round(first)}..${round(last)})`
}
