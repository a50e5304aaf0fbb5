/** The lock file must install everywhere, and name no registry. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'

interface LockEntry {
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly os?: readonly string[]
}

const lock = JSON.parse(readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, LockEntry>>
}

describe('package-lock.json', () => {
  test('holds no addresses', () => {
    const resolved = Object.entries(lock.packages).filter(([, entry]) => entry.resolved?.startsWith('http'))
    expect(resolved.map(([path]) => path)).toEqual([])
  })

  test('has an entry for every platform package of every dependency', () => {
    const missing = Object.entries(lock.packages).flatMap(([path, entry]) =>
      Object.keys(entry.optionalDependencies ?? {})
        .filter((name) => !lock.packages[`node_modules/${name}`] && !lock.packages[`${path}/node_modules/${name}`])
        .map((name) => `${path}: ${name}`),
    )
    expect(missing).toEqual([])
  })

  test('has the iroh binding for Linux, macOS and Windows', () => {
    const systems = Object.entries(lock.packages)
      .filter(([path]) => path.startsWith('node_modules/@number0/iroh-'))
      .flatMap(([, entry]) => entry.os ?? [])
    expect(new Set(systems)).toEqual(new Set(['android', 'darwin', 'linux', 'win32']))
  })
})
