export declare class LockedCrate {
  constructor(options: {
    readonly source: string
    readonly stage: string
    readonly name: string
    readonly relock: string
  })
  cargo(args: readonly string[], env?: Readonly<Record<string, string>>): void
  relock(args?: readonly string[]): void
}
