/**
 * A simulation's networks and machines as JSON: its topology, and what a machine is besides where it is plugged in.
 *
 * @module
 */
import { invalidConfiguration } from '../core/config.ts'
import { checkFields } from './check-fields.ts'
import type { HostClockOptions } from './host-clock.ts'
import type { HostOptions, HostProgramSource, SimHost } from './host.ts'
import type { TopologyFile, TopologyFileHost } from './network/index.ts'
import { checkTopologyFile, hostPlugs } from './network/topology-file.ts'
import { at, loadLinks, loadNetworks } from './network/topology-load.ts'
import { withoutUndefined } from './network/topology-save.ts'
import { RELAY_SETTINGS } from './relay.ts'
import type { RelaySettings } from './relay.ts'
import type { SimWorld } from './sim-world.ts'

/** A host in a file: as `Simulation.host` or `Simulation.relay` takes it, with LANs by name. */
export interface SimulationFileHost extends TopologyFileHost {
  /** @default false */
  readonly portMapping?: boolean | undefined
  /** @default it shows true time */
  readonly clock?: HostClockOptions | undefined
  /** In milliseconds. @default 0.04 */
  readonly processingMs?: number | undefined
  /** Of a host of the kind `relay`. Which nodes may attach is a function, and in no file. */
  readonly relay?: Omit<RelaySettings, 'allow'> | undefined
}

/** The networks and machines of a simulation as plain data. */
export interface SimulationFile extends Omit<TopologyFile, 'hosts'> {
  /** At least one. */
  readonly hosts: readonly SimulationFileHost[]
}

const MACHINE_FIELDS = ['portMapping', 'clock', 'processingMs', 'relay'] as const
const RELAY_FIELDS = RELAY_SETTINGS.filter((name) => name !== 'allow')

/** See `Simulation.toJSON`. */
export function saveSimulation(world: SimWorld): SimulationFile {
  const machines = new Map(world.hosts.map((host) => [host.name, host]))
  const relays = new Map(world.relays.map((relay) => [relay.host, relay.settings]))
  const { hosts, ...file } = world.topology.toJSON()
  return {
    ...file,
    hosts: hosts.map((entry) => {
      const host = machines.get(entry.name)
      return host ? Object.assign(entry, machineOf(host, relays.get(host))) : entry
    }),
  }
}

function machineOf(host: SimHost, settings: RelaySettings | undefined): Partial<SimulationFileHost> {
  const { clock, options, processingUs } = host
  const { offsetMs, driftPpm } = clock
  const relay = withoutUndefined({ ...settings, allow: undefined })
  return withoutUndefined({
    portMapping: options.portMapping || undefined,
    clock: offsetMs !== 0 || driftPpm !== 0 ? { offsetMs, driftPpm } : undefined,
    processingMs: processingUs === undefined ? undefined : processingUs / 1000,
    relay: Object.keys(relay).length > 0 ? relay : undefined,
  })
}

/** See `Simulation.load`. */
export function loadSimulation(
  world: SimWorld,
  value: unknown,
  programs: Readonly<Record<string, HostProgramSource>>,
): void {
  const file: SimulationFile = checkTopologyFile(value, MACHINE_FIELDS)
  if (typeof programs !== 'object' || programs === null) {
    throw invalidConfiguration('programs', programs, 'must be an object of programs by the names of hosts')
  }
  const stranger = Object.keys(programs).find((name) => !file.hosts.some((host) => host.name === name))
  if (stranger !== undefined) throw invalidConfiguration('programs', stranger, 'is no host of this topology')
  const lans = loadNetworks(world.topology, file)
  for (const [i, entry] of file.hosts.entries()) {
    at(`topology.hosts[${i}]`, () => {
      const [first, ...others] = hostPlugs(entry, lans)
      const { portMapping, clock, processingMs } = entry
      const program = Object.hasOwn(programs, entry.name) ? programs[entry.name] : undefined
      const host = addMachine(world, entry, { ...first?.options, portMapping, clock, processingMs }, program)
      for (const { name, options } of others) host.addInterface(name.slice(entry.name.length + 1), options)
    })
  }
  loadLinks(world.topology, file)
}

function addMachine(
  world: SimWorld,
  { name, kind, relay }: SimulationFileHost,
  options: HostOptions,
  program: HostProgramSource | undefined,
): SimHost {
  if (relay !== undefined) {
    if (kind !== 'relay') throw invalidConfiguration('relay', relay, 'is for hosts of the kind relay only')
    checkFields('a relay', relay, RELAY_FIELDS)
  }
  if (kind === 'relay') return world.addRelay(name, { ...options, ...relay }).host
  if (kind === 'name-server') return world.addNameServer(name, options).host
  return world.addHost(name, options, program)
}
