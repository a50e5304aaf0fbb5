/**
 * Secret keys that are drawn at random and kept in files.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, stat, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fromHex, toHex } from '../core/encoding.ts'
import { P2PError } from '../core/errors.ts'
import { SigningKey } from '../core/keys.ts'
import { ioError, systemCode } from './io-error.ts'

/** A key file is one line of 64 hex digits; anything much longer is something else. */
const MAX_FILE_BYTES = 1024

/** What file systems without hard links answer to `link` (FAT, some network and phone storages). */
const NO_HARD_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'EMLINK']

function shellQuote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`
}

/**
 * A node's secret key.
 *
 * @example
 * ```ts
 * import { SecretKey } from '@moosicbox/p2p'
 *
 * const key = SecretKey.generate()
 * console.log(key.nodeId.toString().length) // 52
 * ```
 */
export class SecretKey extends SigningKey {
  /** A new key from the system's cryptographic randomness. */
  static generate(): SecretKey {
    return new SecretKey(randomBytes(32))
  }

  /**
   * The key of these 32 secret bytes.
   *
   * @throws P2PError `invalid-configuration` when there are not 32
   */
  static fromBytes(bytes: Uint8Array): SecretKey {
    return new SecretKey(bytes)
  }

  /**
   * Reads the key in the file at `path`, or makes a new one and stores it there: a line of 64 hex digits, readable by
   * its owner alone, in a directory which, if it is missing, is made readable by its owner alone. Processes that do
   * this at once all get the same key.
   *
   * @throws P2PError `io` when the file can be read by others, holds no key, or cannot be read or written. It is never
   * replaced: a new key would be a new node id.
   */
  static async loadOrCreate(path: string): Promise<SecretKey> {
    const file = resolve(path)
    return (await load(file)) ?? (await create(file)) ?? (await reload(file))
  }
}

async function reload(path: string): Promise<SecretKey> {
  const key = await load(path)
  if (key) return key
  throw P2PError.of('io', `the key file ${path} vanished while it was being made; try again`, { path })
}

/** The key in a file, undefined when there is no file. */
async function load(path: string): Promise<SecretKey | undefined> {
  let text: string
  try {
    const found = await stat(path)
    // Asked for before opening, as opening a named pipe would wait for its other end.
    if (!found.isFile()) throw P2PError.of('io', `${path} is not a file, so it holds no secret key`, { path })
    await using opened = await openFile(path, 'r')
    const { mode, size } = await opened.handle.stat()
    // Windows has no such modes: there a file is as safe as the directory it lies in.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw P2PError.of(
        'io',
        `the key file ${path} can be read by others (mode ${(mode & 0o777).toString(8).padStart(3, '0')}), who could ` +
          `pose as this node; run: chmod 600 ${shellQuote(path)}`,
        { path },
      )
    }
    text = size > MAX_FILE_BYTES ? '' : await opened.handle.readFile('latin1')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw ioError(error, `read the key file ${path}`, path)
  }
  const bytes = fromHex(text.trimEnd())
  if (bytes?.length !== 32) {
    throw P2PError.of(
      'io',
      `the key file ${path} is damaged: it should hold one line of 64 hex digits; restore it, or remove it to start ` +
        'with a new node id',
      { path },
    )
  }
  return new SecretKey(bytes)
}

/** Stores a new key; undefined when a file appeared there meanwhile. */
async function create(path: string): Promise<SecretKey | undefined> {
  const key = SecretKey.generate()
  const text = `${toHex(key.secretBytes())}\n`
  const directory = dirname(path)
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeNew(temporary, text)
    try {
      // Unlike a rename, a link never takes the place of a file that another process has made meanwhile.
      await link(temporary, path)
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return undefined
      if (!NO_HARD_LINKS.includes(systemCode(error))) throw error
      // Here another process could read the file half written, and would say that it is damaged.
      await writeNew(path, text)
    } finally {
      await unlink(temporary)
    }
    await syncDirectory(directory)
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return undefined
    throw ioError(error, `create the key file ${path}`, path)
  }
  return key
}

async function openFile(path: string, flags: string, mode?: number): Promise<{ handle: FileHandle } & AsyncDisposable> {
  const handle = await open(path, flags, mode)
  return { handle, [Symbol.asyncDispose]: async () => handle.close() }
}

/** Writes a file that did not exist, down to the disk; a write that fails leaves nothing behind. */
async function writeNew(path: string, text: string): Promise<void> {
  await using opened = await openFile(path, 'wx', 0o600)
  try {
    await opened.handle.writeFile(text)
    await opened.handle.sync()
  } catch (error) {
    await unlink(path)
    throw error
  }
}

/** Makes a new name outlive a power cut, where the system can (Windows cannot open directories). */
async function syncDirectory(path: string): Promise<void> {
  try {
    await using opened = await openFile(path, 'r')
    await opened.handle.sync()
  } catch {
    // The key is stored; only a power cut within seconds could still lose its name.
  }
}
