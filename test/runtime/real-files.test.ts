import { execFileSync } from 'node:child_process'
import { appendFile, mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { RealRuntime } from '../../src/runtime/index.ts'
import { temporaryDirectory } from './temporary-directory.ts'

const { files } = new RealRuntime()

describe('open', () => {
  test('reads at any position, fewer bytes at the end, none behind it', async () => {
    await using directory = await temporaryDirectory()
    const path = directory.path('song')
    const content = Uint8Array.from({ length: 200_000 }, (_, i) => i % 251)
    await writeFile(path, content)
    await utimes(path, 1_600_000_000, 1_600_000_000.25)

    await using file = await files.open(path)
    expect([file.sizeBytes, file.modifiedMs]).toEqual([200_000, 1_600_000_000_250])
    const reads = await Promise.all([
      file.read(0, 200_000),
      file.read(100_000, 65_536),
      file.read(199_990, 65_536),
      file.read(200_000, 10),
      file.read(1e9, 10),
      file.read(5, 0),
    ])
    expect(reads).toEqual([
      content,
      content.slice(100_000, 165_536),
      content.slice(199_990),
      new Uint8Array(0),
      new Uint8Array(0),
      new Uint8Array(0),
    ])
    // Plain arrays: a Buffer's slice would be a view.
    expect(reads.map((bytes) => bytes.constructor)).toEqual(reads.map(() => Uint8Array))
  })

  test('keeps the size of the moment, though the file may grow', async () => {
    await using directory = await temporaryDirectory()
    const path = directory.path('growing')
    await writeFile(path, 'ab')
    await using file = await files.open(path)
    await appendFile(path, 'cd')
    expect(file.sizeBytes).toBe(2)
    expect(await file.read(2, 9)).toEqual(new TextEncoder().encode('cd'))
  })

  test('names the path and the reason when it cannot', async () => {
    await using directory = await temporaryDirectory()
    const missing = directory.path('missing')
    await expect(files.open(missing)).rejects.toMatchObject({
      code: 'io',
      path: missing,
      message: `cannot open ${missing}: there is no such file or directory`,
    })
    const root = directory.path()
    await expect(files.open(root)).rejects.toMatchObject({
      code: 'io',
      path: root,
      message: `cannot open ${root}: it is not a regular file`,
    })
  })

  test.skipIf(process.platform === 'win32')('does not wait for the other end of a named pipe', async () => {
    await using directory = await temporaryDirectory()
    execFileSync('mkfifo', [directory.path('pipe')])
    await expect(files.open(directory.path('pipe'))).rejects.toMatchObject({ code: 'io' })
  })

  test('closes once, and then says so', async () => {
    await using directory = await temporaryDirectory()
    await writeFile(directory.path('x'), 'x')
    const file = await files.open(directory.path('x'))
    await Promise.all([file.close(), file.close()])
    await file.close()
    await expect(file.read(0, 1)).rejects.toMatchObject({ code: 'io', path: directory.path('x') })
  })

  test('refuses positions and lengths that make no sense', async () => {
    await using directory = await temporaryDirectory()
    await writeFile(directory.path('x'), 'x')
    await using file = await files.open(directory.path('x'))
    for (const [position, length] of [
      [0, -1],
      [0, Number.NaN],
      [0.5, 1],
      [-1, 1],
    ] as const) {
      await expect(file.read(position, length)).rejects.toMatchObject({ code: 'io' })
    }
  })
})

describe('list', () => {
  test('sorts by name and follows links to files, but not to directories', async () => {
    await using directory = await temporaryDirectory()
    await writeFile(directory.path('b'), '')
    await writeFile(directory.path('B'), '')
    await mkdir(directory.path('a'))
    await symlink('b', directory.path('c-link'))
    await symlink('.', directory.path('d-circle'))
    await symlink('nowhere', directory.path('e-broken'))
    expect(await files.list(directory.path())).toEqual([
      { name: 'B', kind: 'file' },
      { name: 'a', kind: 'directory' },
      { name: 'b', kind: 'file' },
      { name: 'c-link', kind: 'file' },
      { name: 'd-circle', kind: 'other' },
      { name: 'e-broken', kind: 'other' },
    ])
    expect(await files.list(directory.path('a'))).toEqual([])
  })

  test('names the path and the reason when it cannot', async () => {
    await using directory = await temporaryDirectory()
    await writeFile(directory.path('file'), '')
    const path = directory.path('file')
    await expect(files.list(path)).rejects.toMatchObject({
      code: 'io',
      path,
      message: `cannot list ${path}: a part of the path is not a directory`,
    })
  })
})
