import type { JitterDistribution, LinkOptions } from '@moosicbox/p2p/simulator'

export interface MeasuredWay {
  readonly delayMs: number
  readonly jitterMs: number
  readonly jitterDistribution: JitterDistribution
  readonly reorders: boolean
  readonly lossPercent: number
  readonly burst: { readonly percent: number; readonly packets: number } | undefined
  readonly rateMbit: number
  readonly queueBytes: number | undefined
}

export function parseLink(description: string): MeasuredWay
export const EMULATOR_MS: number
export function linkOptions(way: MeasuredWay, emulatorMs?: number): LinkOptions
export function isErratic(way: MeasuredWay): boolean
