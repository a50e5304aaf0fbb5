export declare class LockedCrate {
  constructor(options: {
    readonly source: string
    readonly stage: string
    readonly name: string
    readonly relock: string
    readonly patienceMs?: number
  })
  alone(action: () => void): void
  cargo(args: readonly string[], env?: Readonly<Record<string, string>>): void
  relock(args?: readonly string[]): void
}
