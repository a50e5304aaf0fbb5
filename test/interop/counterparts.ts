/**
 * Programs of others that ours must get along with. They are used where they are installed: in a folder that
 * `P2P_COUNTERPARTS` names, or on the `PATH`.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { delimiter, join } from 'node:path'
import type { P2PConnection } from '../../src/core/connection.ts'

/** The path of a program, or undefined when it is not installed. */
export function counterpart(name: string): string | undefined {
  const folders = [process.env['P2P_COUNTERPARTS'], ...(process.env['PATH'] ?? '').split(delimiter)]
  return folders
    .filter((folder) => folder !== undefined && folder !== '')
    .map((folder) => join(folder ?? '', name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}

/** A port that was free a moment ago, for programs that cannot be told to take any. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

/** A program that runs until it is disposed of. */
export interface Running extends AsyncDisposable {
  readonly process: ChildProcess
  /** What it has written so far, both streams together. */
  readonly output: () => string
}

/** Starts a program. */
export function run(path: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(path, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  let output = ''
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()))
  return {
    process: child,
    output: () => output,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** Time enough on a machine that does much else. */
export const LIMIT_MS = 90_000

/** The lines of a program that match, as soon as there are so many. */
export async function lines(program: Running, pattern: RegExp, count = 1): Promise<string[]> {
  for (const started = performance.now(); performance.now() - started < LIMIT_MS;) {
    const found = program.output().split('\n').slice(0, -1).filter((text) => pattern.test(text)) // prettier-ignore
    if (found.length >= count) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`no line ${pattern} in:\n${program.output()}`)
}

/** The first line of a program that matches, or a later one. */
export async function line(program: Running, pattern: RegExp, which = 1): Promise<string> {
  return (await lines(program, pattern, which))[which - 1] ?? ''
}

/** What the other end of a connection sends back. */
export async function echoOf(connection: P2PConnection, text: string): Promise<string> {
  const stream = await connection.openStream()
  await stream.write(new TextEncoder().encode(text))
  await stream.finish()
  return new TextDecoder().decode(await stream.readToEnd(100))
}
