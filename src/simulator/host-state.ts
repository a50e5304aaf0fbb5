/**
 * What each host of a simulation is doing: for the report of a run that has not come to its end.
 *
 * @module
 */
import type { WaitEntry } from '../core/wait-log.ts'
import type { ProgramState } from './host.ts'
import type { SimWorld } from './sim-world.ts'

/** What one host is doing at a moment. */
export interface HostState {
  readonly name: string
  /** Whether it has power. */
  readonly isOn: boolean
  readonly program: ProgramState
  /** The calls of this library that its code waits in, oldest first; `peer` is the name of a host where it is one. */
  readonly waits: readonly WaitEntry[]
}

/** More hosts than anyone reads. */
const MAX_HOSTS_TOLD = 32
/** More waits of one host than anyone reads. */
const MAX_WAITS_TOLD = 8

/** The state of every host, in the order they were added. */
export function hostStates(world: SimWorld): HostState[] {
  return world.hosts.map(({ name, isOn, program, runtime }) => ({
    name,
    isOn,
    program,
    waits: isOn
      ? runtime.waits.entries().map(({ what, peer, sinceMs }) => ({
          what,
          peer: peer && (world.hostNameOf(peer) ?? peer),
          sinceMs,
        }))
      : [],
  }))
}

function describeWait({ what, peer, sinceMs }: WaitEntry): string {
  return `${what}${peer === undefined ? '' : ` (${peer})`} since ${sinceMs} ms`
}

function describeState({ name, isOn, program, waits }: HostState): string {
  if (!isOn) return `host ${name} is off`
  const does = program === 'none' ? 'has no program' : `${program === 'ended' ? 'has' : 'is'} ${program}`
  const told = waits.slice(0, MAX_WAITS_TOLD).map((wait) => describeWait(wait))
  if (waits.length > MAX_WAITS_TOLD) told.push(`${waits.length - MAX_WAITS_TOLD} more`)
  if (told.length > 0) return `host ${name} ${does}; waits in ${told.join(', ')}`
  return program === 'running'
    ? `host ${name} is running; waits in no call of this library: for a promise that other code has to settle`
    : `host ${name} ${does}`
}

/** A line a host: those that are still at work first. */
export function describeHosts(states: readonly HostState[]): string {
  const isAtWork = ({ program }: HostState): boolean => program === 'running' || program === 'starting'
  const sorted = [...states.filter((state) => isAtWork(state)), ...states.filter((state) => !isAtWork(state))]
  const lines = sorted.slice(0, MAX_HOSTS_TOLD).map((state) => describeState(state))
  if (sorted.length > MAX_HOSTS_TOLD) lines.push(`and ${sorted.length - MAX_HOSTS_TOLD} hosts more`)
  return lines.map((line) => `  ${line}`).join('\n')
}
