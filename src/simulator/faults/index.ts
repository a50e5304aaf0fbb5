/**
 * What can go wrong, as data: faults, profiles to draw them from, and the injector that makes them happen.
 *
 * @module
 */
export { checkFault, describeFault, FAULT_KINDS } from './fault.ts'
export type {
  AddressChangeFault,
  ClockJumpFault,
  CrashFault,
  Fault,
  FaultKind,
  LinkDegradeFault,
  LinkFlapFault,
  MappingExpiryFault,
  NameOutageFault,
  NatRebindFault,
  OneWayPartitionFault,
  PartitionFault,
  PauseFault,
  RelayCrashFault,
  RestartFault,
  SlowFault,
} from './fault.ts'
export type { FaultInjector, FaultListener, InjectedFault } from './injector.ts'
export { drawFaults, faultProfile, faultProfiles } from './profiles.ts'
export type { FaultProfile, FaultProfileName, FaultTargets } from './profiles.ts'
