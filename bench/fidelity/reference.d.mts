import type { MeasuredWay } from './links.mjs'

export interface MeasuredRow {
  readonly name: string
  readonly up: MeasuredWay
  readonly down: MeasuredWay
  readonly erraticWays: { readonly up: boolean; readonly down: boolean }
  readonly isErratic: boolean
  readonly isLocal: boolean
  readonly count: number
  readonly emulatorMs: number
  readonly processingMs: number | undefined
  readonly samples: Readonly<Record<string, readonly number[]>>
}

export const DEFAULT_REFERENCE: URL
export const HELD_OUT_REFERENCE: URL
export const TIMES: readonly string[]
export function loadReference(file?: URL | string): MeasuredRow[]
