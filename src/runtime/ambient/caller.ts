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
const TEST_RUNNER = /[\\/]node_modules[\\/](?:@vitest|vitest|vite|vite-node)[\\/]/
/** Where Node calls what it was given, rather than something of its own. */
const QUEUES = /^node:internal\/(?:process\/task_queues|timers)$/
/** A built-in function that calls another, such as `Array.prototype.forEach`: it has no file. */
const NO_FILE = /<anonymous>|\(native\)/

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

/**
 * Whether it is the application itself that calls `callee`: not Node, this library or a test runner on its behalf, as when
 * a module is loaded or a trace written.
 */
export function isCalledByApplication(callee: (...args: never[]) => unknown): boolean {
  const before = Error.stackTraceLimit
  Error.stackTraceLimit = STACK_FRAMES
  const { stack = '' } = capture(callee)
  Error.stackTraceLimit = before
  for (const line of stack.split('\n').slice(1)) {
    const frame = line.trim()
    const [, file] = FRAME.exec(frame) ?? []
    if (file === undefined && NO_FILE.test(frame)) continue
    // The reaction of a promise has no caller but the queue.
    return file === undefined || QUEUES.test(file) || (isForeign(file) && !TEST_RUNNER.test(file))
  }
  return true
}

function capture(callee: (...args: never[]) => unknown): { readonly stack?: string } {
  const place: { stack?: string } = {}
  Error.captureStackTrace(place, callee)
  return place
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
