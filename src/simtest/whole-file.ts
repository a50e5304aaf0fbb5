/**
 * Files that are there as a whole or not at all, whoever else writes or reads them at the same time.
 *
 * @module
 */
import { accessSync, constants, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { threadId } from 'node:worker_threads'
import { invalidConfiguration } from '../core/config.ts'

/**
 * Checks that there can be such a file, before work is done whose result is to go there.
 *
 * @param setting where the path comes from, as the error names it
 * @throws P2PError `invalid-configuration`
 */
export function checkWritable(setting: string, path: string): void {
  try {
    accessSync(dirname(path), constants.W_OK)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw invalidConfiguration(setting, path, `cannot be written: ${why}`)
  }
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  const isFolderOf = !statSync(dirname(path)).isDirectory()
  if (isFolder || isFolderOf) throw invalidConfiguration(setting, path, 'cannot be written: it is no place for a file')
}

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
