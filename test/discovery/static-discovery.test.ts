import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { P2PAddress } from '../../src/core/address.ts'
import { testNodeId } from '../../src/core/keys.ts'
import { StaticDiscovery } from '../../src/discovery/index.ts'

const alice = new P2PAddress(testNodeId('alice'), ['127.0.0.1:1024'])
const bob = new P2PAddress(testNodeId('bob'), [], ['https://relay.example/'])
const carol = testNodeId('carol')

interface TemporaryFile extends AsyncDisposable {
  readonly directory: string
  readonly path: string
}

async function temporaryFile(content?: unknown): Promise<TemporaryFile> {
  const directory = await mkdtemp(join(tmpdir(), 'p2p-names-'))
  const path = join(directory, 'names.json')
  if (content !== undefined) await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  return { directory, path, [Symbol.asyncDispose]: async () => rm(directory, { recursive: true }) }
}

describe('names in the program', () => {
  const discovery = new StaticDiscovery({ alice, bob: bob.toTicket(), carol, 'carol in hex': carol.toHex() })

  test('are found, with addresses where there are some', async () => {
    expect(await discovery.resolveName('alice')).toEqual(alice)
    expect((await discovery.resolveName('bob'))?.toTicket()).toBe(bob.toTicket())
    expect((await discovery.resolveName('carol'))?.direct).toEqual([])
    expect((await discovery.resolveName('carol in hex'))?.id.equals(carol)).toBe(true)
  })

  test.each(['Alice', '', '__proto__', 'constructor'])('do not include %j', async (name) => {
    expect(await discovery.resolveName(name)).toBeUndefined()
  })

  test('are found by id when that leads somewhere', async () => {
    expect(await discovery.resolveId(testNodeId('bob'))).toEqual(bob)
    expect(await discovery.resolveId(carol)).toBeUndefined()
    expect(await discovery.resolveId(testNodeId('dave'))).toBeUndefined()
  })

  test('are checked when they are given', () => {
    expect(() => new StaticDiscovery({ ok: alice, bad: 'nonsense' })).toThrow(
      expect.objectContaining({
        code: 'invalid-configuration',
        name: 'P2PError',
        message: expect.stringMatching(/^names\.bad: "nonsense" is no node id/) as string,
      }),
    )
    expect(() => new StaticDiscovery({}, { writable: true })).toThrow(/there is no file to write to/)
  })

  test('that are published are remembered, and replace what was there', async () => {
    const mine = new StaticDiscovery({ home: alice })
    await mine.publish('studio', bob)
    await mine.publish('home', bob)
    expect([await mine.resolveName('studio'), await mine.resolveName('home')]).toEqual([bob, bob])
  })
})

describe('names in a text', () => {
  test('are separated by commas or lines', async () => {
    const text = ` alice = ${alice.toTicket()} ,\n  carol=${carol.toString()},\n`
    const discovery = StaticDiscovery.parse(text)
    expect(await discovery.resolveName('alice')).toEqual(alice)
    expect((await discovery.resolveName('carol'))?.id.equals(carol)).toBe(true)
    expect(await StaticDiscovery.parse('').resolveName('alice')).toBeUndefined()
  })

  test.each([
    ['alice', /P2P_NAMES = "alice": must be name=ticket/],
    ['=x', /must be name=ticket/],
    ['alice=', /must be name=ticket/],
    ['alice=nonsense', /^P2P_NAMES: alice: "nonsense" is no node id/],
    [`a=${carol.toHex()},a=${carol.toHex()}`, /gives the name a a second time/],
  ])('are checked: %s', (text, message) => {
    expect(() => StaticDiscovery.parse(text, 'P2P_NAMES')).toThrow(
      expect.objectContaining({ code: 'invalid-configuration', message: expect.stringMatching(message) as string }),
    )
  })
})

test('tickets without names are known by their ids', async () => {
  const text = `${alice.toTicket()}, home=${bob.toTicket()}`
  const discovery = StaticDiscovery.parse(text, 'P2P_STATIC_PEERS')
  expect(await discovery.resolveId(alice.id)).toEqual(alice)
  expect(await discovery.resolveName('home')).toEqual(bob)
  expect(() => StaticDiscovery.parse('endpointx', 'P2P_STATIC_PEERS')).toThrow(
    /^P2P_STATIC_PEERS: the ticket "endpointx"/,
  )
})

describe('names in a file', () => {
  test('are read anew for each look-up', async () => {
    await using file = await temporaryFile({ alice: alice.toTicket() })
    const discovery = new StaticDiscovery({}, { file: file.path })
    expect(await discovery.resolveName('alice')).toEqual(alice)
    expect(await discovery.resolveId(alice.id)).toEqual(alice)
    expect(await discovery.resolveName('bob')).toBeUndefined()
    await writeFile(file.path, JSON.stringify({ bob: bob.toTicket() }))
    expect(await discovery.resolveName('bob')).toEqual(bob)
    expect(await discovery.resolveName('alice')).toBeUndefined()
    expect(await discovery.resolveId(alice.id)).toBeUndefined()
  })

  test('come after those in the program', async () => {
    await using file = await temporaryFile({ home: alice.toTicket() })
    const discovery = new StaticDiscovery({ home: bob }, { file: file.path })
    expect(await discovery.resolveName('home')).toEqual(bob)
  })

  test('are not written to unless that is allowed', async () => {
    await using file = await temporaryFile('{}')
    const discovery = new StaticDiscovery({}, { file: file.path })
    await discovery.publish('alice', alice)
    expect(await readFile(file.path, 'utf8')).toBe('{}')
    expect(await discovery.resolveName('alice')).toEqual(alice)
  })

  test('are shared by all who may write, and leave nothing else behind', async () => {
    await using file = await temporaryFile()
    const [one, two] = [0, 1].map(() => new StaticDiscovery({}, { file: file.path, writable: true }))
    expect(await one?.resolveName('alice')).toBeUndefined()
    await Promise.all([one?.publish('alice', alice), one?.publish('bob', bob), one?.publish('__proto__', alice)])
    expect(await two?.resolveName('alice')).toEqual(alice)
    expect(await two?.resolveName('__proto__')).toEqual(alice)
    await two?.publish('alice', bob)
    expect(await one?.resolveName('alice')).toEqual(bob)
    expect(await one?.resolveName('bob')).toEqual(bob)
    expect(await readdir(file.directory)).toEqual(['names.json'])
    expect(await readFile(file.path, 'utf8')).toMatch(/^\{\n {2}"alice": "endpoint/)
  })

  test('are never seen half written', async () => {
    await using file = await temporaryFile('{}')
    const writer = new StaticDiscovery({}, { file: file.path, writable: true })
    const reader = new StaticDiscovery({}, { file: file.path })
    const writing = new AbortController()
    const reading = (async () => {
      let reads = 0
      for (; !writing.signal.aborted; reads++) await reader.resolveName('name 0')
      return reads
    })()
    for (let i = 0; i < 50; i++) await writer.publish(`name ${i}`, alice)
    writing.abort()
    expect(await reading).toBeGreaterThan(50)
  })

  test.each([
    ['no JSON', '{"alice": ', 'it is no JSON'],
    ['empty', '', 'it is no JSON'],
    ['a list', [1], 'it should hold an object'],
    ['null', 'null', 'it should hold an object'],
    ['a number for a name', { alice: 7 }, 'the value of "alice" should be a text'],
    ['a bad ticket', { alice: 'endpointx' }, 'the value of "alice": the ticket "endpointx" is malformed'],
    ['too large', ' '.repeat(1_048_577), 'it has 1048577 bytes'],
  ])('fail clearly when the file has %s, and are not overwritten', async (_what, content, message) => {
    await using file = await temporaryFile(content)
    const before = await readFile(file.path, 'utf8')
    const discovery = new StaticDiscovery({}, { file: file.path, writable: true })
    const failure = {
      code: 'discovery-failed',
      message: expect.stringContaining(`the file of names ${file.path}: ${message}`) as string,
    }
    await expect(discovery.resolveName('alice')).rejects.toMatchObject(failure)
    await expect(discovery.resolveId(alice.id)).rejects.toMatchObject(failure)
    expect(await readFile(file.path, 'utf8')).toBe(before)
  })

  test('fail when a file that cannot be read would be written', async () => {
    await using file = await temporaryFile('[')
    const discovery = new StaticDiscovery({}, { file: file.path, writable: true })
    await expect(discovery.publish('alice', alice)).rejects.toMatchObject({ code: 'discovery-failed' })
    expect(await readFile(file.path, 'utf8')).toBe('[')
    await writeFile(file.path, '{}')
    await discovery.publish('alice', alice)
    expect(await discovery.resolveName('alice')).toEqual(alice)
  })

  test('that are sound are found beside others that are not', async () => {
    await using file = await temporaryFile({ bad: 'nonsense', alice: alice.toTicket() })
    const discovery = new StaticDiscovery({}, { file: file.path })
    expect(await discovery.resolveName('alice')).toEqual(alice)
    expect(await discovery.resolveId(alice.id)).toEqual(alice)
    await expect(discovery.resolveId(bob.id)).rejects.toMatchObject({
      code: 'discovery-failed',
      message: expect.stringContaining('the value of "bad"') as string,
    })
  })

  test('go on counting when the file has come to make no sense, which is told once', async () => {
    await using file = await temporaryFile({ alice: alice.toTicket() })
    const problems: string[] = []
    const onProblem = (problem: Error): void => void problems.push(problem.message)
    const discovery = new StaticDiscovery({}, { file: file.path, onProblem })
    expect(await discovery.resolveName('alice')).toEqual(alice)
    expect(discovery.problem).toBeUndefined()
    // As a program writes that does not write beside the file: half of it is there.
    await writeFile(file.path, '{ "alice": "endp')
    for (let i = 0; i < 3; i++) {
      expect(await discovery.resolveName('alice')).toEqual(alice)
      expect(await discovery.resolveId(alice.id)).toEqual(alice)
    }
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/names\.json: it is no JSON/)
    // What was not known before may be in there.
    const failure = { code: 'discovery-failed', message: problems[0] as string }
    await expect(discovery.resolveName('bob')).rejects.toMatchObject(failure)
    await expect(discovery.resolveId(bob.id)).rejects.toMatchObject(failure)
    await rm(file.path)
    expect(await discovery.resolveName('alice')).toEqual(alice)
    expect(problems[1]).toMatch(/there is no such file/)
    await writeFile(file.path, JSON.stringify({ bob: bob.toTicket() }))
    expect(await discovery.resolveName('bob')).toEqual(bob)
    expect(await discovery.resolveName('alice')).toBeUndefined()
    expect(discovery.problem).toBeUndefined()
  })

  test('go on counting one by one, when the value of one has come to make no sense', async () => {
    await using file = await temporaryFile({ alice: alice.toTicket(), bob: bob.toTicket() })
    const discovery = new StaticDiscovery({}, { file: file.path })
    expect(await discovery.resolveName('alice')).toEqual(alice)
    await writeFile(file.path, JSON.stringify({ alice: 'nonsense', bob: alice.toTicket(), carol: 7 }))
    expect(await discovery.resolveName('alice')).toEqual(alice)
    expect(await discovery.resolveName('bob')).toEqual(alice)
    await expect(discovery.resolveName('carol')).rejects.toThrow(/the value of "carol" should be a text/)
    expect(discovery.problem?.message).toMatch(/the value of "alice": "nonsense" is no node id/)
  })

  test('are those of the new file when one takes its place', async () => {
    await using file = await temporaryFile({ home: alice.toTicket() })
    const discovery = new StaticDiscovery({}, { file: file.path })
    expect(await discovery.resolveName('home')).toEqual(alice)
    for (const address of [bob, alice, bob]) {
      const beside = join(file.directory, 'new')
      await writeFile(beside, JSON.stringify({ home: address.toTicket() }))
      await rename(beside, file.path)
      expect(await discovery.resolveName('home')).toEqual(address)
    }
  })

  test('fail when the file is missing, or in no directory to write to', async () => {
    await using file = await temporaryFile()
    const missing = new StaticDiscovery({}, { file: file.path })
    await expect(missing.resolveName('alice')).rejects.toMatchObject({
      code: 'discovery-failed',
      message: `the file of names ${file.path}: there is no such file`,
    })
    const nowhere = new StaticDiscovery({}, { file: join(file.directory, 'no', 'names.json'), writable: true })
    await expect(nowhere.publish('alice', alice)).rejects.toMatchObject({
      code: 'discovery-failed',
      message: expect.stringContaining('cannot be written (ENOENT)') as string,
    })
  })

  test('are not looked up for those who have given up', async () => {
    await using file = await temporaryFile({})
    const discovery = new StaticDiscovery({}, { file: file.path })
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(discovery.resolveName('alice', { signal })).rejects.toMatchObject({ code: 'aborted' })
    await expect(discovery.resolveId(alice.id, { signal })).rejects.toMatchObject({ code: 'aborted' })
  })
})
