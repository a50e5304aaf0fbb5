/** The music example as its users start it: real processes over iroh on loopback. */
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createSocket } from 'node:dgram'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testNodeId } from '../../src/core/keys.ts'
import { build, LIBRARY, Program, run } from './built.ts'
import type { Ended } from './built.ts'

const scratch = mkdtempSync(join(tmpdir(), 'music-cli-'))
const at = (name: string): string => join(scratch, name)
const names = at('names.json')
const NOBODY = testNodeId('nobody').toString()
const keepAlive = readFileSync(join(LIBRARY, 'The Loopbacks/Hole Punching/03 Keep-Alive.flac'))

/** A server that most tests share. */
let server: Program
let ticket: string
let trackId: string
/** The story takes a few seconds, most of which it waits. */
let story: Promise<Ended>
let before: readonly string[]

const play = (...args: readonly string[]): Promise<Ended> => run('play', ...args, '--loopback')

/** The one clear line that an ended program left, with the exit code that says so and without a stack trace. */
function errorOf(ended: Ended, code: number): string {
  const errors = ended.stderr.split('\n').filter((line) => line.startsWith('error: '))
  const hasStack = /^ {4}at /m.test(ended.stderr)
  if (ended.code === code && errors.length === 1 && !hasStack) return errors[0] ?? ''
  throw new Error(`ended with ${ended.code} and ${errors.length} errors, not ${code} and one:\n${ended.stderr}`)
}

beforeAll(async () => {
  build()
  before = readdirSync(tmpdir())
  story = run('--backend', 'iroh')
  server = new Program([
    'serve',
    '--loopback',
    '--library',
    LIBRARY,
    '--key',
    at('server.key'),
    '--name',
    'home',
    '--names',
    names,
  ])
  ticket = (await server.says(/Ticket +(endpoint\w+)/))[1] ?? ''
  await server.says(/Ctrl-C/)
  const { stdout } = await play(ticket, '--list')
  trackId = /track (\d+) +Keep-Alive by/.exec(stdout.toString())?.[1] ?? ''
}, 60_000)

afterAll(async () => {
  await server.interrupt()
  rmSync(scratch, { recursive: true, force: true })
})

describe('serve and play', () => {
  test('the server says what it serves, who it is, and the command for the other terminal', () => {
    expect(server.text).toMatch(/backend iroh \((official|native)\)/)
    expect(server.text).toMatch(/2 artists, 3 albums, 8 tracks/)
    expect(server.text).toMatch(/Node id +[a-z1-9]{52}\n/)
    expect(server.text).toContain(`npm start -- play ${ticket} --loopback`)
    expect(server.text).toMatch(/Addresses +127\.0\.0\.1:\d+, \[::1\]:\d+\n/)
  })

  test('a track arrives in a file, byte for byte', async () => {
    const ended = await play(ticket, '--track', trackId, '--output', at('out.flac'))
    expect(ended.stderr).toBe('')
    expect(ended.code).toBe(0)
    expect(readFileSync(at('out.flac')).equals(keepAlive)).toBe(true)
    expect(ended.stdout.toString()).toContain(createHash('sha256').update(keepAlive).digest('hex'))
    expect(ended.stdout.toString()).toMatch(/Path +direct, to (127\.0\.0\.1|\[::1\]):\d+/)
    expect(ended.stdout.toString()).toMatch(/round trip p50 .* p90 .* p99 /)
    expect(existsSync(at('out.flac.part'))).toBe(false)
  })

  test('standard output holds the audio and nothing else', async () => {
    const ended = await play('home', '--names', names, '--track', trackId, '--stdout')
    expect(ended.code).toBe(0)
    expect(ended.stdout.equals(keepAlive)).toBe(true)
    expect(ended.stderr).toMatch(/Found +"home"/)
  })

  test('a node id is enough where its address is in the file of names', async () => {
    const id = /Node id +(\w+)/.exec(server.text)?.[1] ?? ''
    const listed = (await play(id, '--names', names, '--list')).stdout.toString()
    expect(listed).toMatch(/Brücken im Nebel/)
    expect(listed).toContain(`to ${id.slice(0, 10)} in`)
    expect(listed).not.toMatch(/none measured|Output|Network/)
  })

  test('without a place for the audio it says, at both ends, that nothing is stored', async () => {
    const text = (await play(ticket, '--track', trackId)).stdout.toString()
    expect(text).toMatch(/Output +checked, not stored[^]*Verified[^]*Output +checked, not stored/)
  })

  test('an album arrives in a folder', async () => {
    const ended = await play(ticket, '--album', '1', '--output', at('album'))
    expect(ended.code).toBe(0)
    expect(readdirSync(at('album'))).toEqual([
      '01 Paper Lanterns.mp3',
      '02 Brücken im Nebel.mp3',
      '03 Kitchen Radio.wav',
    ])
    const original = readFileSync(join(LIBRARY, 'Nora Vega/Long Way Home/03 Kitchen Radio.wav'))
    expect(readFileSync(at('album/03 Kitchen Radio.wav')).equals(original)).toBe(true)
  })

  test('a reader of standard output may leave early', async () => {
    const player = new Program(['play', ticket, '--loopback', '--track', trackId, '--stdout'], { readStdout: false })
    player.process.stdout?.once('data', () => player.process.stdout?.destroy())
    const { code, stderr } = await player.ended
    expect(stderr).toMatch(/The reader of standard output has ended/)
    expect(code).toBe(0)
  })

  test('the story is played by two processes, which leave nothing behind', async () => {
    const ended = await story
    const text = ended.stdout.toString()
    expect(ended.stderr).toBe('')
    expect(ended.code).toBe(0)
    expect(text).toMatch(/^MoosicBox, backend iroh \((official|native)\)/)
    expect(text).toMatch(/Found +"home" is node [a-z1-9]{10},/)
    expect(text).toMatch(/Cover +of .*image\/png/)
    expect(text).toMatch(/Seek +from/)
    expect(text).toMatch(/Verified +1,612,963 bytes in 25 blocks/)
    const left = readdirSync(tmpdir()).filter((name) => !before.includes(name) && name.startsWith('moosicbox-story-'))
    expect(left).toEqual([])
  })
})

describe('Ctrl-C', () => {
  test('lets a player have the rest of its track', async () => {
    const other = new Program(['serve', '--loopback', '--library', LIBRARY])
    const [, to = ''] = await other.says(/Ticket +(endpoint\w+)/)
    await other.says(/Ctrl-C/)
    const args = ['play', to, '--loopback', '--track', trackId, '--stdout']
    const player = new Program(args, { readStdout: false })
    // More than the pipe holds is yet to come, and nobody has read any of it.
    await other.says(/is here/)
    const ending = other.interrupt()
    await other.says(/Ending +when 1 player left/)
    const audio: Buffer[] = []
    player.process.stdout?.on('data', (chunk: Buffer) => audio.push(chunk))
    expect((await player.ended).code).toBe(0)
    expect(Buffer.concat(audio).equals(keepAlive)).toBe(true)
    expect((await ending).code).toBe(0)
  })

  test('ends a server, gracefully', async () => {
    const other = new Program(['serve', '--loopback'])
    await other.says(/Ctrl-C/)
    const { code, stderr } = await other.interrupt()
    expect(stderr).toBe('')
    expect(code).toBe(0)
  })

  test.runIf(process.platform === 'linux')(
    'the second one ends it at once, though a player does not answer',
    async () => {
      const other = new Program(['serve', '--loopback'])
      const [, to = ''] = await other.says(/Ticket +(endpoint\w+)/)
      await other.says(/Ctrl-C/)
      const player = new Program(['play', to, '--loopback', '--track', trackId, '--stdout'], { readStdout: false })
      await other.says(/is here/)
      // It hears nothing any more, and so never says that it has drained what it was sent.
      const frozen = await childOf(player)
      process.kill(frozen, 'SIGSTOP')
      other.process.kill('SIGINT')
      await other.says(/once more to end at once/)
      const late = new Promise((resolve) => setTimeout(resolve, 400, 'still there'))
      expect(await Promise.race([other.ended, late])).toBe('still there')
      const { code } = await other.interrupt()
      expect(code).toBe(130)
      process.kill(frozen, 'SIGKILL')
      await player.ended
    },
  )

  test('ends a player whose audio nobody reads, and leaves no half file', async () => {
    const player = new Program(['play', ticket, '--loopback', '--track', trackId, '--stdout'], { readStdout: false })
    await player.says(/Playing/)
    // By then the pipe is full; were it not, this would prove less, and pass.
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const { code, stderr } = await player.interrupt()
    expect(stderr).toMatch(/Ending; once more/)
    expect(stderr).not.toMatch(/error/i)
    expect(code).toBe(130)
  })

  test('ends the story and both of its processes', async () => {
    const telling = new Program(['--backend', 'iroh'])
    const [, pid = ''] = await telling.says(/process (\d+)/)
    await telling.says(/Playing/)
    const { code, stderr } = await telling.interrupt()
    expect(stderr).toBe('')
    expect(code).toBe(130)
    expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH')
  })

  test('of the server tells its player, in one line', async () => {
    const other = new Program(['serve', '--loopback'])
    const [, to = ''] = await other.says(/Ticket +(endpoint\w+)/)
    await other.says(/Ctrl-C/)
    const player = new Program(['play', to, '--loopback', '--track', trackId, '--stdout'], { readStdout: false })
    await player.says(/Playing/)
    await other.interrupt()
    player.process.stdout?.resume()
    expect(errorOf(await player.ended, 1)).toBe('error: the server has ended')
  })
})

describe.concurrent('what cannot work is told in one line', () => {
  test.each([
    ['an unknown option', ['--sneed', '7'], 2, /Unknown option '--sneed'/],
    ['the simulator as a server', ['serve', '--backend', 'simulator'], 2, /world inside one process/],
    ['the simulator as a player', ['play', 'home', '--backend', 'simulator'], 2, /world inside one process/],
    ['a missing library', ['serve', '--loopback', '--library', '/no/such/folder'], 1, /\/no\/such\/folder/],
    ['a missing library of the story', ['--backend', 'iroh', '--library', '/no/such/folder'], 1, /\/no\/such\/folder/],
    [
      'a missing library of the simulated story',
      ['--library', '/no/such/folder'],
      1,
      /^(?!.*seed).*\/no\/such\/folder/,
    ],
    [
      'a file in a folder that is not there',
      ['play', NOBODY, '--loopback', '--output', '/no/such/folder/x'],
      1,
      /cannot write/,
    ],
    ['a malformed ticket', ['play', 'endpointabcdef', '--loopback'], 2, /ticket.*malformed(?!.*--names)/],
    ['neither ticket nor node id', ['play', 'homer', '--loopback'], 2, /"homer".*--names FILE/],
    ['a missing file of names', ['play', 'home', '--loopback', '--names', '/no/such/names'], 1, /no such file/],
    ['a node that nobody knows', ['play', NOBODY, '--loopback'], 1, new RegExp(NOBODY.slice(0, 10))],
    ['a friend that is none', ['serve', '--loopback', '--allow', 'me'], 2, /--allow/],
  ])('%s', async (_, args, code, message) => {
    expect(errorOf(await run(...args), code)).toMatch(message)
  })

  test('the version is the package’s', async () => {
    const { version } = JSON.parse(readFileSync(join(LIBRARY, '../../../package.json'), 'utf8')) as { version: string }
    const ended = await run('--version')
    expect([ended.code, ended.stdout.toString()]).toEqual([0, `${version}\n`])
  })

  test('a name that is not in the file', async () => {
    expect(errorOf(await play('office', '--names', names), 1)).toMatch(/"office".*names\.json/)
  })

  test('a track that is not there', async () => {
    expect(errorOf(await play(ticket, '--track', '4711'), 1)).toMatch(/no track 4711/)
    expect(errorOf(await play(ticket, '--album', '4711'), 1)).toMatch(/no album 4711/)
  })

  test('one’s own id', async () => {
    expect(errorOf(await play(ticket, '--key', at('server.key')), 1)).toMatch(/itself/)
  })

  test('a key that others can read', async () => {
    copyFileSync(at('server.key'), at('open.key'))
    chmodSync(at('open.key'), 0o644)
    expect(errorOf(await run('serve', '--loopback', '--key', at('open.key')), 1)).toMatch(/chmod/)
  })

  test('a server that does not want this player', async () => {
    const other = new Program(['serve', '--loopback', '--allow', testNodeId('friend').toString()])
    const [, to = ''] = await other.says(/Ticket +(endpoint\w+)/)
    await other.says(/Ctrl-C/)
    expect(errorOf(await play(to), 1)).toMatch(/refused/)
    await other.interrupt()
  })

  test('a port that is taken', async () => {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    const { port } = socket.address()
    expect(errorOf(await run('serve', '--loopback', '--port', String(port)), 1)).toMatch(new RegExp(`${port}`))
    socket.close()
  })

  test('a file that cannot be written', async () => {
    expect(errorOf(await play(ticket, '--output', '/no/such/folder/out.flac'), 1)).toMatch(
      /cannot write \/no\/such\/folder\/out\.flac/,
    )
    expect(errorOf(await play(ticket, '--output', scratch), 1)).toMatch(/it is a folder/)
  })

  test.runIf(existsSync('/dev/full'))('a full disk', async () => {
    expect(errorOf(await play(ticket, '--output', '/dev/full'), 1)).toMatch(
      /cannot write \/dev\/full: no space left on device/,
    )
  })

  test('corrupt audio is skipped and named, the rest is served', async () => {
    const folder = mkdtempSync(at('library-'))
    copyFileSync(join(LIBRARY, 'Nora Vega/Long Way Home/01 Paper Lanterns.mp3'), join(folder, 'good.mp3'))
    writeFileSync(join(folder, 'bad.flac'), 'this is no audio at all, whatever its name says')
    const other = new Program(['serve', '--loopback', '--library', folder])
    await other.says(/Skipped +bad\.flac: \S+/)
    await other.says(/1 track\n/)
    const [, to = ''] = await other.says(/Ticket +(endpoint\w+)/)
    expect((await play(to)).stdout.toString()).toMatch(/Verified/)
    await other.interrupt()
  })
})

/** The program behind `start.mjs`: its only child. */
async function childOf(program: Program): Promise<number> {
  const pid = String(program.process.pid)
  for (;;) {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    if (children !== '') return Number(children.split(' ')[0])
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
