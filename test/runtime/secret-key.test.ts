import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { inspect, promisify } from 'node:util'
import { MessageChannel } from 'node:worker_threads'
import { build } from 'vite'
import { describe, expect, test } from 'vitest'
import { toHex } from '../../src/core/encoding.ts'
import { followRotations } from '../../src/core/key-rotation.ts'
import { SigningKey, verifySignature } from '../../src/core/keys.ts'
import { IrohP2P } from '../../src/iroh/index.ts'
import { SecretKey } from '../../src/runtime/index.ts'
import { SimulatorP2P } from '../../src/simulator/index.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const mode = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)
const secretOf = (key: SecretKey): string => toHex(key.secretBytes())

describe('a secret key', () => {
  test('is a signing key, drawn at random or made of its bytes', () => {
    const key = SecretKey.generate()
    expect(key).toBeInstanceOf(SigningKey)
    expect(key).toBeInstanceOf(SecretKey)
    expect(secretOf(SecretKey.generate())).not.toBe(secretOf(key))
    const message = new TextEncoder().encode('hello')
    expect(verifySignature(key.nodeId, message, key.sign(message))).toBe(true)
    expect(SecretKey.fromBytes(key.secretBytes()).nodeId.equals(key.nodeId)).toBe(true)
    expect(() => SecretKey.fromBytes(new Uint8Array(31))).toThrow(
      expect.objectContaining({ code: 'invalid-configuration' }),
    )
  })
})

describe('a key for other programs', () => {
  test('is written and read as PEM, also that of others', async () => {
    const key = SecretKey.generate()
    expect(secretOf(SecretKey.fromPem(key.toPem()))).toBe(secretOf(key))
    const { privateKey } = generateKeyPairSync('ed25519', {
      privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
      publicKeyEncoding: { format: 'der', type: 'spki' },
    })
    expect(SecretKey.fromPem(privateKey).toPem()).toBe(privateKey)
  })

  test('of another kind, or garbage, is an error that does not repeat it', () => {
    const { privateKey: x25519 } = generateKeyPairSync('x25519', {
      privateKeyEncoding: { format: 'pem', type: 'pkcs8' },
      publicKeyEncoding: { format: 'der', type: 'spki' },
    })
    for (const pem of [x25519, 'ab'.repeat(32), '', 7 as unknown as string]) {
      let error: unknown
      try {
        SecretKey.fromPem(pem)
      } catch (thrown) {
        error = thrown
      }
      expect(error).toMatchObject({ code: 'invalid-configuration', setting: 'pem' })
      expect(inspect(error)).not.toContain('abababab')
      expect(inspect(error)).not.toContain(x25519.split('\n')[1])
    }
  })

  test('is stored in a new file, never over another', async () => {
    await using directory = await temporaryDirectory()
    const [path, key] = [directory.path('exported'), SecretKey.generate()]
    await key.store(path)
    expect(secretOf(await SecretKey.loadOrCreate(path))).toBe(secretOf(key))
    await expect(SecretKey.generate().store(path)).rejects.toMatchObject({ code: 'io', path })
    expect(secretOf(await SecretKey.loadOrCreate(path))).toBe(secretOf(key))
    expect(await readdir(directory.path())).toEqual(['exported'])
  })
})

describe('rotating a key', () => {
  test('puts a new one in its place, keeps the old one, and says so with both', async () => {
    await using directory = await temporaryDirectory()
    const path = directory.path('key')
    const first = await SecretKey.loadOrCreate(path)
    const { key, old, rotation } = await SecretKey.rotate(path)
    expect(secretOf(old)).toBe(secretOf(first))
    expect(secretOf(await SecretKey.loadOrCreate(path))).toBe(secretOf(key))
    expect(secretOf(await SecretKey.loadOrCreate(`${path}.${first.nodeId.fmtShort()}`))).toBe(secretOf(first))
    expect(followRotations(first.nodeId, [rotation.toString()]).equals(key.nodeId)).toBe(true)
    const again = await SecretKey.rotate(path)
    const statements = [again.rotation, rotation]
    expect(followRotations(first.nodeId, statements).equals(again.key.nodeId)).toBe(true)
    const files = (await readdir(directory.path())).sort()
    expect(files).toEqual(['key', `key.${first.nodeId.fmtShort()}`, `key.${key.nodeId.fmtShort()}`].sort())
    for (const file of process.platform === 'win32' ? [] : files) expect(await mode(directory.path(file))).toBe('600')
  })

  test('of a file that is not there, or damaged, changes nothing', async () => {
    await using directory = await temporaryDirectory()
    await expect(SecretKey.rotate(directory.path('none'))).rejects.toMatchObject({ code: 'io' })
    await writeFile(directory.path('bad'), 'x', { mode: 0o600 })
    await expect(SecretKey.rotate(directory.path('bad'))).rejects.toMatchObject({ code: 'io' })
    expect(await readdir(directory.path())).toEqual(['bad'])
  })
})

describe('a key that is destroyed', () => {
  test('signs nothing and gives nothing any more, but still says whose it was', () => {
    const key = SecretKey.generate()
    const { nodeId } = key
    {
      using gone = key
      gone.sign(new Uint8Array())
    }
    for (const use of [() => key.sign(new Uint8Array()), () => key.secretBytes(), () => key.toPem()]) {
      expect(use).toThrow(expect.objectContaining({ code: 'invalid-configuration', setting: 'secretKey' }))
    }
    expect(key.nodeId).toBe(nodeId)
    key.destroy()
  })
})

describe('a key that goes where it should not', () => {
  test('gives nothing away: to another thread, in an error, as an option', async () => {
    const key = SecretKey.generate()
    const { port1, port2 } = new MessageChannel()
    port1.postMessage({ ...key, key })
    const [received] = (await once(port2, 'message')) as [unknown]
    port1.close()
    expect(inspect(received, { depth: 10, showHidden: true })).not.toContain(secretOf(key).slice(0, 8))
    expect((received as { readonly key: object }).key).not.toHaveProperty('sign')
    const wrong = { secretKey: secretOf(key) } as never
    for (const create of [() => SimulatorP2P.create(wrong), () => IrohP2P.create(wrong)]) {
      const error: unknown = await create().catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'invalid-configuration', setting: 'secretKey' })
      expect(inspect(error)).not.toContain(secretOf(key).slice(0, 8))
    }
    const misspelt: unknown = await IrohP2P.create({ secretkey: secretOf(key) } as never).catch((e: unknown) => e)
    expect(misspelt).toMatchObject({ code: 'invalid-configuration', setting: 'secretkey' })
    expect(inspect(misspelt)).not.toContain(secretOf(key).slice(0, 8))
  })
})

describe('a key file', () => {
  test.skipIf(process.platform === 'win32')(
    'is made for its owner alone, in a directory for its owner alone, and read again',
    async () => {
      await using directory = await temporaryDirectory()
      const path = directory.path('deep', 'er', 'key')
      const key = await SecretKey.loadOrCreate(path)
      expect(await readFile(path, 'utf8')).toBe(`${secretOf(key)}\n`)
      expect(secretOf(await SecretKey.loadOrCreate(path))).toBe(secretOf(key))
      expect(await readdir(directory.path('deep', 'er'))).toEqual(['key'])
      expect(await Promise.all([path, directory.path('deep', 'er'), directory.path('deep')].map(mode))).toEqual([
        '600',
        '700',
        '700',
      ])
    },
  )

  test('leaves the mode of a directory that was there alone', async () => {
    await using directory = await temporaryDirectory()
    await mkdir(directory.path('mine'), { mode: 0o755 })
    await SecretKey.loadOrCreate(directory.path('mine', 'key'))
    expect(await mode(directory.path('mine'))).toBe('755')
  })

  test.skipIf(process.platform === 'win32').each([
    [0o640, '640'],
    [0o604, '604'],
    [0o666, '666'],
    [0o610, '610'],
  ])('that others can reach (mode %o) is refused with the command that mends it', async (bits, shown) => {
    await using directory = await temporaryDirectory()
    const path = directory.path("it's a key")
    const key = await SecretKey.loadOrCreate(path)
    await chmod(path, bits)
    const error: unknown = await SecretKey.loadOrCreate(path).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'io', path })
    const { message } = error as Error
    expect(message).toContain(`(mode ${shown})`)
    expect(message).not.toContain(secretOf(key))
    const command = /run: (.*)$/.exec(message)?.[1] ?? ''
    expect(command).toMatch(/^chmod 600 /)
    await promisify(execFile)('sh', ['-c', command])
    expect(secretOf(await SecretKey.loadOrCreate(path))).toBe(secretOf(key))
  })

  const digits = 'ab'.repeat(32)
  test.each([
    ['empty', ''],
    ['one digit short', digits.slice(1)],
    ['half', digits.slice(32)],
    ['one digit long', `${digits}0`],
    ['no hex', 'x'.repeat(64)],
    ['two lines', `${digits}\n${digits}\n`],
    ['a PEM key', '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI\n-----END PRIVATE KEY-----\n'],
    ['huge', 'a'.repeat(1_000_000)],
    ['not text', '\u0000'.repeat(32)],
  ])('that is %s is an error and stays as it is', async (_what, content) => {
    await using directory = await temporaryDirectory()
    const path = directory.path('key')
    await writeFile(path, content, { mode: 0o600 })
    await expect(SecretKey.loadOrCreate(path)).rejects.toMatchObject({
      code: 'io',
      path,
      message: expect.stringContaining('is damaged') as string,
    })
    expect(await readFile(path, 'utf8')).toBe(content)
  })

  test.each([digits, `${digits}\r\n`, `${digits.toUpperCase()}\n`])('may end as an editor likes: %j', async (text) => {
    await using directory = await temporaryDirectory()
    await writeFile(directory.path('key'), text, { mode: 0o600 })
    expect(secretOf(await SecretKey.loadOrCreate(directory.path('key')))).toBe(digits)
  })

  test('may lie behind a link, and need not be one', async () => {
    await using directory = await temporaryDirectory()
    const key = await SecretKey.loadOrCreate(directory.path('real'))
    await symlink('real', directory.path('link'))
    expect(secretOf(await SecretKey.loadOrCreate(directory.path('link')))).toBe(secretOf(key))
    await expect(SecretKey.loadOrCreate(directory.path())).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining('is not a file') as string,
    })
  })

  test('cannot be made below a file', async () => {
    await using directory = await temporaryDirectory()
    await writeFile(directory.path('file'), '')
    const path = directory.path('file', 'key')
    await expect(SecretKey.loadOrCreate(path)).rejects.toMatchObject({ code: 'io', path })
  })

  test('is one, however many make it at once in this process', async () => {
    await using directory = await temporaryDirectory()
    const path = directory.path('new', 'key')
    const keys = await Promise.all(Array.from({ length: 20 }, async () => SecretKey.loadOrCreate(path)))
    expect(new Set(keys.map(secretOf)).size).toBe(1)
    expect(await readdir(directory.path('new'))).toEqual(['key'])
  })

  test('is one, however many processes make it at once', async () => {
    await using directory = await temporaryDirectory()
    await build({
      configFile: false,
      logLevel: 'silent',
      build: {
        ssr: fileURLToPath(new URL('../../src/runtime/secret-key.ts', import.meta.url)),
        outDir: directory.path('built'),
        target: 'node20',
        rolldownOptions: { output: { entryFileNames: 'secret-key.mjs' } },
      },
    })
    await writeFile(
      directory.path('built', 'make.mjs'),
      `import { SecretKey } from './secret-key.mjs'
       // All start at the same moment, as far as the machine lets them.
       const [path, startMs] = process.argv.slice(2)
       while (Date.now() < Number(startMs)) {}
       const ids = []
       for (let i = 0; i < 10; i++) ids.push((await SecretKey.loadOrCreate(path + i)).nodeId.toString())
       console.log(ids.join(' '))`,
    )
    const start = String(Date.now() + 1_000)
    const outputs = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const command = [directory.path('built', 'make.mjs'), directory.path('keys', 'key'), start]
        const { stdout } = await promisify(execFile)(process.execPath, command)
        return stdout.trim()
      }),
    )
    expect(new Set(outputs).size).toBe(1)
    expect(new Set(outputs[0]?.split(' ')).size).toBe(10)
    expect(await readdir(directory.path('keys'))).toEqual(Array.from({ length: 10 }, (_, i) => `key${i}`))
  })
})
