/** What an honest client noticed in one phase of a flood. */
export interface FloodPhase {
  readonly name: string
  readonly ms: number
  readonly requests: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly connects: number
  readonly failed: readonly string[]
  readonly rssMiB: number
  /** How often the server's `authorize` was asked. */
  readonly asked: number
}

export function runFlood(options: {
  readonly door: 'native' | 'official'
  readonly attackers: 'native' | 'official'
  readonly attacks: readonly (readonly [how: 'strangers' | 'streams' | 'packets', count: number])[]
  readonly quietMs: number
}): Promise<{ readonly backend: string; readonly phases: readonly FloodPhase[] }>
