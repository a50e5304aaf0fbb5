/**
 * Secret keys that are drawn at random and kept in files.
 *
 * @module
 */
import { createPrivateKey, randomBytes } from 'node:crypto'
import { link, mkdir, open, rename, stat, unlink } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { P2PError } from '../core/errors.ts'
import { KeyRotation } from '../core/key-rotation.ts'
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
export class SecretKey extends SigningKey implements Disposable {
  /** A new key from the system's cryptographic randomness. */
  static generate(): SecretKey {
    return consume(randomBytes(32))
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

  /**
   * The key in a PEM document as other programs write it (PKCS #8, not encrypted), such as `openssl genpkey -algorithm
   * ed25519`.
   *
   * @throws P2PError `invalid-configuration` when there is no such key in it
   */
  static fromPem(pem: string): SecretKey {
    try {
      const key = createPrivateKey({ key: pem, format: 'pem' })
      if (key.asymmetricKeyType !== 'ed25519') throw new Error(`it is a key of type ${key.asymmetricKeyType}`)
      const document = key.export({ format: 'der', type: 'pkcs8' })
      const secretKey = consume(document.subarray(PKCS8_HEAD_BYTES, PKCS8_HEAD_BYTES + 32))
      document.fill(0)
      return secretKey
    } catch {
      // Without the cause: what cannot be read may hold a secret all the same.
      const message = 'this is no ed25519 private key in PEM (PKCS #8, without a password)'
      throw P2PError.of('invalid-configuration', message, { setting: 'pem', value: typeof pem })
    }
  }

  /** This key for other programs, in PEM (PKCS #8, not encrypted). Whoever has it is this node. */
  toPem(): string {
    const secret = this.secretBytes()
    const document = Buffer.concat([PKCS8_HEAD, secret])
    const pem = createPrivateKey({ key: document, format: 'der', type: 'pkcs8' }).export({
      format: 'pem',
      type: 'pkcs8',
    })
    secret.fill(0)
    document.fill(0)
    return pem.toString()
  }

  /**
   * Stores this key in a new file, as `loadOrCreate` does.
   *
   * @throws P2PError `io` when there is a file already: it is never replaced
   */
  async store(path: string): Promise<void> {
    const file = resolve(path)
    if (await storeNew(file, this)) return
    throw P2PError.of('io', `${file} is there already, and may be the only copy of a key; choose another path`, {
      path: file,
    })
  }

  /**
   * Puts a new key in place of the one in the file at `path`. The old one is kept beside it, under its short id
   * (`path.0123456789`), as the statement that lets others follow can only be made with it, and made again.
   *
   * @returns both keys, and that statement
   * @throws P2PError `io` as `loadOrCreate`, and when there is no key to replace
   */
  static async rotate(
    path: string,
  ): Promise<{ readonly key: SecretKey; readonly old: SecretKey; readonly rotation: KeyRotation }> {
    const file = resolve(path)
    const old = await load(file)
    if (!old) throw P2PError.of('io', `there is no key file ${file}: use SecretKey.loadOrCreate`, { path: file })
    const key = SecretKey.generate()
    const next = `${file}.${randomBytes(6).toString('hex')}.tmp`
    await storeNew(`${file}.${old.nodeId.fmtShort()}`, old)
    await storeNew(next, key)
    try {
      await rename(next, file)
      await syncDirectory(dirname(file))
    } catch (error) {
      await unlink(next).catch(() => {})
      throw ioError(error, `replace the key file ${file}`, file)
    }
    return { key, old, rotation: KeyRotation.sign(old, key, Date.now()) }
  }

  /**
   * Overwrites the secret with zeros. Nodes that were created with it go on, but cannot sign any more, so that they are
   * no longer made known by id. What JavaScript and the system have copied meanwhile is out of reach: see
   * `docs/security.md`.
   */
  destroy(): void {
    this.wipe()
  }

  /** As `destroy`. */
  [Symbol.dispose](): void {
    this.destroy()
  }
}

/** RFC 8410: what stands before the 32 secret bytes of an ed25519 key. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')
const PKCS8_HEAD_BYTES = PKCS8_HEAD.length

/** A key of these bytes, which are zeroed. */
function consume(bytes: Uint8Array): SecretKey {
  const key = SecretKey.fromBytes(bytes)
  bytes.fill(0)
  return key
}

/** A line of 64 hex digits, as bytes, so that it can be zeroed; a text could not. */
function toLine(secret: Uint8Array): Buffer {
  const line = Buffer.alloc(65, '\n')
  const digit = (value: number): number => (value < 10 ? 48 + value : 87 + value)
  for (const [i, byte] of secret.entries()) {
    line[2 * i] = digit(byte >> 4)
    line[2 * i + 1] = digit(byte & 15)
  }
  return line
}

/** The 32 bytes of such a line, with whatever white space after it; undefined when it is none. */
function fromLine(line: Uint8Array): Uint8Array | undefined {
  const secret = new Uint8Array(32)
  const value = (code: number): number => {
    if (code >= 48 && code <= 57) return code - 48
    const letter = code | 32
    return letter >= 97 && letter <= 102 ? letter - 87 : Number.NaN
  }
  for (let i = 0; i < 32; i++) {
    const byte = value(line[2 * i] ?? 0) * 16 + value(line[2 * i + 1] ?? 0)
    if (Number.isNaN(byte)) return undefined
    secret[i] = byte
  }
  return line.subarray(64).every((code) => code === 32 || (code >= 9 && code <= 13)) ? secret : undefined
}

async function reload(path: string): Promise<SecretKey> {
  const key = await load(path)
  if (key) return key
  throw P2PError.of('io', `the key file ${path} vanished while it was being made; try again`, { path })
}

/** The key in a file, undefined when there is no file. */
async function load(path: string): Promise<SecretKey | undefined> {
  let line: Uint8Array
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
    line = size > MAX_FILE_BYTES ? new Uint8Array() : await opened.handle.readFile()
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw ioError(error, `read the key file ${path}`, path)
  }
  const bytes = fromLine(line)
  line.fill(0)
  if (!bytes) {
    throw P2PError.of(
      'io',
      `the key file ${path} is damaged: it should hold one line of 64 hex digits; restore it, or remove it to start ` +
        'with a new node id',
      { path },
    )
  }
  return consume(bytes)
}

/** Stores a new key; undefined when a file appeared there meanwhile. */
async function create(path: string): Promise<SecretKey | undefined> {
  const key = SecretKey.generate()
  return (await storeNew(path, key)) ? key : undefined
}

/** Stores a key in a file that was not there; false when it is. */
async function storeNew(path: string, key: SecretKey): Promise<boolean> {
  const secret = key.secretBytes()
  const line = toLine(secret)
  secret.fill(0)
  const directory = dirname(path)
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeNew(temporary, line)
    try {
      // Unlike a rename, a link never takes the place of a file that another process has made meanwhile.
      await link(temporary, path)
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return false
      if (!NO_HARD_LINKS.includes(systemCode(error))) throw error
      // Here another process could read the file half written, and would say that it is damaged.
      await writeNew(path, line)
    } finally {
      await unlink(temporary)
    }
    await syncDirectory(directory)
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw ioError(error, `create the key file ${path}`, path)
  } finally {
    line.fill(0)
  }
  return true
}

async function openFile(path: string, flags: string, mode?: number): Promise<{ handle: FileHandle } & AsyncDisposable> {
  const handle = await open(path, flags, mode)
  return { handle, [Symbol.asyncDispose]: async () => handle.close() }
}

/** Writes a file that did not exist, down to the disk; a write that fails leaves nothing behind. */
async function writeNew(path: string, line: Uint8Array): Promise<void> {
  await using opened = await openFile(path, 'wx', 0o600)
  try {
    await opened.handle.writeFile(line)
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
