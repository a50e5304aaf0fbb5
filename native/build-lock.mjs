/**
 * One process at a time: it holds the lock whose folder, with its process id in it, was renamed into place, which only
 * one of several can do. Processes of other containers and machines that share the folder are not seen.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

const POLL_MS = 100
/** What a rename says where another's folder stands; on Windows it may say no more than that it cannot. */
const TAKEN = new Set(['ENOTEMPTY', 'EEXIST', ...(process.platform === 'win32' ? ['EPERM', 'EACCES', 'EBUSY'] : [])])

/**
 * Runs `action` while no other process is in it with the same lock; that of a process which is gone is taken over.
 *
 * @param {string} lock the lock's folder, which nobody else puts anything into
 * @param {object} options
 * @param {string} options.what what is done with it, for messages, such as `builds native`
 * @param {number} options.patienceMs how long to wait for others
 * @param {() => T} action
 * @returns {T}
 * @template T
 */
export function holding(lock, { what, patienceMs }, action) {
  mkdirSync(dirname(lock), { recursive: true })
  const deadlineMs = performance.now() + patienceMs
  let toldOf
  for (;;) {
    const holder = holderOf(lock)
    const entry = holder === undefined && take(lock)
    if (entry) {
      try {
        return action()
      } finally {
        rmSync(join(lock, entry), { force: true })
        removeEmpty(lock)
      }
    }
    const who = holder === undefined ? 'another process' : `process ${holder}`
    if (performance.now() >= deadlineMs) {
      throw new Error(
        `${who} ${what} here and has not ended within ${patienceMs / 1000} s: wait for it, or end it; ` +
          `if that process is something else, remove ${lock}`,
      )
    }
    if (holder !== undefined && holder !== toldOf) console.error(`waiting for ${who}, which ${what} here`)
    toldOf = holder ?? toldOf
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS)
  }
}

/** The process that holds the lock; what others have left behind is removed. */
function holderOf(lock) {
  for (const entry of entriesOf(lock)) {
    const pid = Number.parseInt(entry, 10)
    if (isAlive(pid)) return pid
    // No other has an entry of this name, so that a lock that was taken since stays as it is.
    rmSync(join(lock, entry), { force: true })
  }
  return undefined
}

/** Tries to take the lock; returns what it has put into it. */
function take(lock) {
  const own = mkdtempSync(`${lock}.`)
  const entry = `${process.pid}-${basename(own)}`
  writeFileSync(join(own, entry), '')
  // Windows does not rename onto an empty folder.
  removeEmpty(lock)
  try {
    renameSync(own, lock)
    return entry
  } catch (error) {
    rmSync(own, { recursive: true, force: true })
    if (TAKEN.has(error.code)) return undefined
    throw error
  }
}

function entriesOf(lock) {
  try {
    return readdirSync(lock)
  } catch (error) {
    if (error.code === 'ENOENT') return []
    throw error
  }
}

/** Removes the folder if nothing is in it. */
function removeEmpty(folder) {
  try {
    rmdirSync(folder)
  } catch {
    // Somebody has taken it, or it is gone.
  }
}

/** Of the same id as this process was one before it, in another container or after a start of the machine. */
function isAlive(pid) {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
