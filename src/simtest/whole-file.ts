/**
 * Files that are there as a whole or not at all, whoever else writes or reads them at the same time.
 *
 * @module
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { threadId } from 'node:worker_threads'

/**
 * Writes a file in one go.
 *
 * @throws whatever the file system says
 */
export function writeWhole(path: string, text: string): void {
  const beside = `${path}.${process.pid}-${threadId}`
  try {
    writeFileSync(beside, text)
    renameSync(beside, path)
  } catch (error) {
    rmSync(beside, { force: true })
    throw error
  }
}
