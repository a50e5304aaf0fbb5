/// <reference lib="esnext.disposable" preserve="true" />
/**
 * The simulator: a virtual internet in virtual time, on which nodes of this library run as they do on the real one.
 *
 * - `simulation.ts` is where to begin, `simulation-runs.ts` and `host-turns.ts` what it runs with, `simulation-file.ts` its JSON;
 *   `simulator-p2p.ts` is the node; `host.ts`, `sim-world.ts`, `default-world.ts`
 * - `scheduler.ts`, `event-queue.ts`, `driver.ts`, `bridge.ts`, `runtime.ts`: virtual time and real work
 * - `random.ts`, `audit.ts`: what makes a history repeatable, and what tells two apart
 * - `network/`: datagrams; `transport/`, `endpoint.ts`, `sim-connection.ts`, `sim-streams.ts`: connections over them
 * - `tcp/`: streams over the same links; `relay*.ts`: relays over them; `address-probe.ts`: where one is seen from outside
 * - `endpoint.ts`, `attempts.ts`, `routes.ts`, `relays.ts`: a node's place on the network
 * - `port-mapping.ts`, `discovery.ts`: ways to be reached and found
 *
 * @module
 */
export { digestBytes, digestText, EventKind, HashAudit } from './audit.ts'
export type { AuditObserver } from './audit.ts'
export { type Diagram, diagram } from './diagram/index.ts'
export { Driver } from './driver.ts'
export type { DriveOptions, DriverOptions, RunEnd } from './driver.ts'
export type { LeakPolicy } from './ambient-host.ts'
export { HostClock } from './host-clock.ts'
export type { HostClockOptions } from './host-clock.ts'
export type { HostState } from './host-state.ts'
export { SimDisk } from './disk.ts'
export * from './faults/index.ts'
export { SimHost } from './host.ts'
export type { CrashOptions, HostOptions, HostProgram, HostProgramSource, ProgramState } from './host.ts'
export * from './network/index.ts'
export type { Audit, Kernel, KernelEvent, RandomStream } from './kernel.ts'
export { Netstat } from './netstat.ts'
export type { ConnectionSnapshot, NodeSnapshot, RelayHostSnapshot } from './world-netstat.ts'
export type { RelayAttachmentSnapshot, RelayRateLimit } from './relay-attachment.ts'
export { NameServerHost } from './name-server.ts'
export { RelayHost } from './relay-host.ts'
export type { RelayOptions } from './relay-host.ts'
export { SimRelay } from './relay.ts'
export type { RelaySettings, RelaySnapshot, SimRelayOptions } from './relay.ts'
export type { TcpSnapshot } from './tcp/connection.ts'
export { explore } from './explore.ts'
export type { Exploration, ExploreOptions } from './explore.ts'
export { ChosenSchedule } from './schedule.ts'
export type { PctOptions, Schedule, ScheduleChoice } from './schedule.ts'
export type { SimulatorPath } from './sim-paths.ts'
export { Scheduler } from './scheduler.ts'
export type { Trace, TracedAddress, TraceOptions, TraceSink } from './trace/trace.ts'
export { Simulation } from './simulation.ts'
export type { SimulationFile, SimulationFileHost } from './simulation-file.ts'
export type {
  PendingOperation,
  RunOptions,
  SimulationOptions,
  SimulationResult,
  VirtualTime,
} from './simulation-options.ts'
export { SimulatorConnection, SimulatorP2P, SimulatorP2P as BackendP2P } from './simulator-p2p.ts'
export type { SimulatorCreateOptions } from './simulator-p2p.ts'
