/**
 * Which line of the application is to blame.
 *
 * @module
 */
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Deep enough to get past Node's and this library's own frames. */
const STACK_FRAMES = 50

/** Where this library's own code lies, as URL and as path: `…/src/` or `…/dist/`. */
const OWN_URL = new URL('../../', import.meta.url).href
const OWN_PATH = OWN_URL.startsWith('file:') ? fileURLToPath(OWN_URL) : OWN_URL

const FRAME = /(?:\(|^at (?:async )?)((?:node:|file:\/\/|\/|[A-Za-z]:[\\/])[^()]*?):(\d+):\d+\)?$/
const CONSOLE = /node:internal\/console/
const TEST_RUNNER = /[\\/]node_modules[\\/](?:@vitest|vitest)[\\/]/

/** Whether a file belongs to this library itself. */
export function isOwnFile(file: string): boolean {
  return file.startsWith(OWN_URL) || file.startsWith(OWN_PATH)
}

/** The stack of this moment, without the message. */
export function currentStack(): string[] {
  const before = Error.stackTraceLimit
  Error.stackTraceLimit = STACK_FRAMES
  const { stack = '' } = new Error('stack')
  Error.stackTraceLimit = before
  return stack.split('\n').slice(1)
}

/** Whether something is being printed: that this uses a pipe, or a timer of a test runner, is nobody's leak. */
export function isPrinting(stack: readonly string[]): boolean {
  if (stack.some((frame) => CONSOLE.test(frame))) return true
  const innermost = stack.find((frame) => isForeign(FRAME.exec(frame.trim())?.[1]))
  return innermost !== undefined && TEST_RUNNER.test(innermost)
}

/** Whether a file is neither Node's nor this library's. */
function isForeign(file: string | undefined): boolean {
  return file !== undefined && !file.startsWith('node:') && !isOwnFile(file)
}

/** `app.ts:4` of the innermost frame that is neither Node's nor this library's; undefined when there is none. */
export function callerOf(stack: readonly string[]): string | undefined {
  for (const frame of stack) {
    const [, file, line] = FRAME.exec(frame.trim()) ?? []
    if (file === undefined || !isForeign(file)) continue
    return `${basename(file.replace(/\?.*$/, ''))}:${line}`
  }
  return undefined
}
