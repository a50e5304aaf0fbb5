/** What the home server's memory comes to under friends who mean it ill. */
export function runHostileFriends(options: {
  readonly friends: number
  /** Of each. */
  readonly connections: number
  readonly seconds: number
  readonly door: 'native' | 'official'
}): Promise<{ readonly idleMiB: number; readonly peakMiB: number; readonly connections: number }>
