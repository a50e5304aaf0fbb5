export function percentile(values: readonly number[], share: number): number
export function median(values: readonly number[]): number
export function ksDistance(first: readonly number[], second: readonly number[]): number
export function bootstrapInterval(
  values: readonly number[],
  statistic?: (values: readonly number[]) => number,
  resamples?: number,
): [number, number]
export function percentileInterval(values: readonly number[], share: number): [number, number]
