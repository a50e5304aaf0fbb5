/** A pipe has two ends: ours at one of them, and the real `dumbpipe` at the other, or ours at both. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { fileURLToPath } from 'node:url'
import { describe, expect, test, vi } from 'vitest'
import { DOORS } from '../iroh/doors.ts'
import { counterpart } from './counterparts.ts'

/** The real program asks iroh's relays and look-up servers, whatever it is told: it is run where there is nothing else. */
const isAlone = Object.values(networkInterfaces()).every((addresses) => addresses?.every(({ internal }) => internal))
const real = isAlone ? counterpart('dumbpipe') : undefined
const OURS = fileURLToPath(new URL('../../build/examples/dumbpipe/main.js', import.meta.url))
const MEBIBYTE = 1_048_576

/** One end of a pipe, at which a test writes and reads. */
class End implements AsyncDisposable {
  readonly child: ChildProcess
  readonly #parts: Buffer[] = []
  readonly #exited: Promise<number | null>
  #words = ''

  constructor(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const child = spawn(program, args, { stdio: 'pipe', env: { ...process.env, ...env } })
    child.stdout.on('data', (part: Buffer) => this.#parts.push(part))
    child.stderr.on('data', (part: Buffer) => (this.#words += part.toString()))
    // Whoever has ended takes no more.
    child.stdin.on('error', () => {})
    this.#exited = once(child, 'close').then(([code]) => code as number | null)
    this.child = child
  }

  /** What has come out of it. */
  get output(): Buffer {
    return Buffer.concat(this.#parts)
  }

  /** What it has said. */
  get words(): string {
    return this.#words
  }

  async ticket(): Promise<string> {
    const find = (): string | undefined => /connect (endpoint[a-z2-7]+)\s/.exec(this.#words)?.[1]
    return (await vi.waitUntil(find, { timeout: 60_000 })) ?? ''
  }

  /** Its exit code, once it has ended and all its output is there. */
  exited(): Promise<number | null> {
    return this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#exited
  }
}

interface Program {
  readonly listen: (...options: string[]) => End
  readonly connect: (ticket: string, ...options: string[]) => End
}

const ours = (binding: string): Program => {
  const env = { P2P_IROH_BINDING: binding }
  return {
    listen: (...options) => new End(process.execPath, [OURS, 'listen', '--loopback', ...options], env),
    connect: (ticket, ...options) =>
      new End(process.execPath, [OURS, 'connect', ticket, '--loopback', ...options], env),
  }
}

// It cannot be told to do without relays; where nothing but loopback exists, it has none.
const LOOPBACK = ['--ipv4-addr', '127.0.0.1:0', '--ipv6-addr', '[::1]:0']
const theirs: Program = {
  listen: (...options) => new End(real ?? '', ['listen', ...LOOPBACK, ...options]),
  connect: (ticket, ...options) => new End(real ?? '', ['connect', ...LOOPBACK, ...options, ticket]),
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** The doors to iroh that are here. */
const doors = DOORS.map(({ name }) => name)
const pairs = doors.flatMap((door): [string, Program, Program][] => [
  [`ours (${door}) listens, theirs connects`, ours(door), theirs],
  [`theirs listens, ours (${door}) connects`, theirs, ours(door)],
  [`ours listens, ours connects (${door})`, ours(door), ours(door)],
])

describe.skipIf(real === undefined)(
  'a pipe (skipped: dumbpipe is not installed, or this is no namespace with loopback alone)',
  { timeout: 120_000 },
  () => {
    test.each(pairs)('carries a mebibyte each way, and then ends: %s', async (_, listening, connecting) => {
      const there = randomBytes(MEBIBYTE)
      const back = randomBytes(MEBIBYTE)
      await using listener = listening.listen()
      listener.child.stdin?.end(back)
      await using connector = connecting.connect(await listener.ticket())
      connector.child.stdin?.end(there)
      const codes = await Promise.all([listener.exited(), connector.exited()])
      expect({ codes, words: codes.every((code) => code === 0) || listener.words + connector.words }).toEqual({
        codes: [0, 0],
        words: true,
      })
      expect(digest(listener.output)).toBe(digest(there))
      expect(digest(connector.output)).toBe(digest(back))
    })

    test.each(pairs)('stays open one way when the other has ended: %s', async (_, listening, connecting) => {
      await using listener = listening.listen()
      await using connector = connecting.connect(await listener.ticket())
      connector.child.stdin?.end('the question')
      await expect.poll(() => listener.output.toString(), { timeout: 60_000 }).toBe('the question')
      listener.child.stdin?.end('the answer')
      expect(await Promise.all([listener.exited(), connector.exited()])).toEqual([0, 0])
      expect(connector.output.toString()).toBe('the answer')
    })

    test('may carry a protocol of its own', async () => {
      const door = doors.at(-1) ?? ''
      const alpn = ['--custom-alpn', 'utf8:our/own/1']
      await using listener = theirs.listen(...alpn)
      await using connector = ours(door).connect(await listener.ticket(), ...alpn)
      connector.child.stdin?.end('without a hello')
      listener.child.stdin?.end()
      expect(await Promise.all([listener.exited(), connector.exited()])).toEqual([0, 0])
      expect(listener.output.toString()).toBe('without a hello')
    })
  },
)

describe.each(doors)('our end (%s)', { timeout: 120_000 }, (door) => {
  const { listen, connect } = ours(door)

  test('sends no faster than the other one reads', async () => {
    await using listener = listen('--recv-only')
    // Nobody reads this end's output: a pipe of the system is full after 64 KiB.
    listener.child.stdout?.pause()
    await using connector = connect(await listener.ticket())
    const block = randomBytes(MEBIBYTE)
    let taken = 0
    const { stdin } = connector.child
    const write = (): void => {
      stdin?.write(block, (error) => {
        if (error) return
        taken += block.length
        if (taken < 24 * MEBIBYTE) write()
        else stdin.end()
      })
    }
    write()
    // It takes some, and then no more: what fits into windows and pipes is far less than all.
    await expect.poll(() => taken, { timeout: 60_000 }).toBeGreaterThan(0)
    let before = -1
    await expect
      .poll(
        () => {
          const still = taken === before
          before = taken
          return still
        },
        { timeout: 60_000, interval: 1_000 },
      )
      .toBe(true)
    expect(taken).toBeLessThan(20 * MEBIBYTE)
    listener.child.stdout?.resume()
    expect(await Promise.all([listener.exited(), connector.exited()])).toEqual([0, 0])
    expect(listener.output.length).toBe(24 * MEBIBYTE)
  })

  test('breaks the pipe at Ctrl-C, and the other end hears of it', async () => {
    await using listener = listen()
    await using connector = connect(await listener.ticket())
    connector.child.stdin?.write('hello?')
    await expect.poll(() => listener.output.toString(), { timeout: 60_000 }).toBe('hello?')
    connector.child.kill('SIGINT')
    expect(await connector.exited()).toBe(130)
    expect(await listener.exited()).toBe(1)
    expect(listener.words).toMatch(/error: /)
  })

  test('ends when the reader of its output has', async () => {
    await using listener = listen()
    await using connector = connect(await listener.ticket(), '--recv-only')
    connector.child.stdout?.destroy()
    listener.child.stdin?.write(randomBytes(MEBIBYTE))
    expect(await connector.exited()).toBe(0)
    expect(await listener.exited()).toBe(1)
  })

  test('waits on while others connect who speak something else', async () => {
    await using listener = listen()
    const ticket = await listener.ticket()
    await using stranger = connect(ticket, '--custom-alpn', 'utf8:something/else')
    expect(await stranger.exited()).toBe(1)
    await using friend = connect(ticket)
    friend.child.stdin?.end('it is me')
    listener.child.stdin?.end()
    expect(await Promise.all([listener.exited(), friend.exited()])).toEqual([0, 0])
    expect(listener.output.toString()).toBe('it is me')
  })
})

test.each([
  [[], /the first word is listen or connect/],
  [['connect'], /needs the ticket/],
  [['connect', 'nonsense'], /"nonsense"/],
  [['listen', 'more'], /unexpected argument 'more'/],
  [['listen', '--custom-alpn', '0102'], /it is utf8: and the name/],
  [['listen', '--loopback', '--relay', 'default'], /exclude each other/],
  [['listen', '--bind', 'nowhere'], /bind = "nowhere"/],
  [['listen', '--what'], /--what/],
])('a command line that makes no sense is told of: %j', async (args, message) => {
  await using end = new End(process.execPath, [OURS, ...args])
  end.child.stdin?.end()
  expect(await end.exited()).toBe(2)
  expect(end.words).toMatch(message)
})
