/**
 * Who may use the relay of `p2p-relay`, as its arguments and files say; the files are read again while it runs.
 *
 * @module
 */
import type { RelayAdmission } from '../relay/index.ts'
import { readText } from './arguments.ts'

/** The arguments that say it. */
export interface AccessArguments {
  readonly allow?: readonly string[] | undefined
  readonly deny?: readonly string[] | undefined
  readonly 'allow-file'?: string | undefined
  readonly 'deny-file'?: string | undefined
  readonly tokens?: string | undefined
}

async function readLines(name: keyof AccessArguments, path: string): Promise<readonly string[]> {
  const lines = (await readText(name, path)).split('\n').map((line) => line.trim())
  return lines.filter((line) => line !== '')
}

async function readIds(args: AccessArguments, name: 'allow' | 'deny'): Promise<readonly string[] | undefined> {
  const path = args[`${name}-file`]
  if (path === undefined) return args[name]
  return [...(args[name] ?? []), ...(await readLines(`${name}-file`, path))]
}

/** @throws P2PError `io` */
export async function readAccess(args: AccessArguments): Promise<RelayAdmission> {
  const [allow, deny] = [await readIds(args, 'allow'), await readIds(args, 'deny')]
  return {
    access: { ...(allow && { allow }), ...(deny && { deny }) },
    tokens: args.tokens === undefined ? undefined : await readLines('tokens', args.tokens),
  }
}
