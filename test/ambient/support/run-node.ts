/** Programs in processes of their own, on this Node and on others. Runs the built package. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

export const ROOT: string = join(import.meta.dirname, '../../..')

/** This Node, and those whose paths `OTHER_NODES` names, separated by commas: see `scripts/other-nodes.mjs`. */
export const NODES: readonly string[] = [
  process.execPath,
  ...(process.env['OTHER_NODES'] ?? '').split(',').filter((path) => path !== ''),
]

export interface Exit {
  readonly code: number | string
  readonly stdout: string
  readonly stderr: string
}

/** Runs `node …args` in the package's directory. */
export async function runNode(
  args: readonly string[],
  options: { readonly node?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Exit> {
  const { NODE_OPTIONS: _options, VITEST: _vitest, ...env } = process.env
  const settings = { cwd: ROOT, timeout: 100_000, env: { ...env, ...options.env } }
  return promisify(execFile)(options.node ?? process.execPath, args, settings).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, signal, stdout, stderr }) => ({ code: code ?? signal, stdout, stderr }),
  )
}
